"""The configuration of `namm-xmodal train`: that of an evolution, with traces of several models that come first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from namm_xmodal.config.evolve import EvolveConfig, with_run, with_workers
from namm_xmodal.config.evolve_sections import GradientConfig
from namm_xmodal.config.loader import load_mapping, resolve_config
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.config.section import as_list
from namm_xmodal.config.validation import Strict, validate

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(as_list), Field(min_length=1)]


class TraceSource(Strict):
    """What is read once, with a full cache and without labels, to see which tokens receive attention later."""

    model: str = Field(min_length=1, description="A model of the modality: a name, a folder or a hub id.")
    count: int = Field(24, ge=1, description="Texts, videos or episodes.")
    updates: int = Field(3, ge=1, description="Updates of each that are noted, spread evenly over its length.")
    heads: int = Field(2, ge=1, description="kv heads of each layer and update that are noted, drawn anew each time.")
    update_every: int = Field(128, ge=1, description="Tokens between two updates; a multiple of 16.")
    dtype: Literal["auto", "float32", "bfloat16", "float16", "float64"] = Field(
        "float32", description="Precision of the weights."
    )
    device: str = Field("cpu", min_length=1, description="Where the model runs: cpu, cuda, cuda:1, mps.")
    seed: int = Field(0, ge=0, description="Of the texts, videos or episodes, and of the heads.")


class LanguageTraces(TraceSource):
    """Stretches of text."""

    texts: Names = Field(("python-topics",), description="Names of `namm-xmodal list texts`, files or folders.")
    tokens: int = Field(448, ge=32, description="Of each text.")
    repeat: bool = Field(
        True, description="Have the text repeated after itself, and count the attention of the repetition only."
    )


class VideoTraces(TraceSource):
    """Prompts about videos."""

    update_every: int = Field(32, ge=1, description="Tokens between two updates; a multiple of 16.")
    benchmark: str = Field("generated", min_length=1, description="A name of `namm-xmodal list benchmarks`.")
    data: str = Field("", description="Folder of the benchmark in its published layout.")
    options: dict[str, Any] = Field(default_factory=dict, description="The benchmark's own fields.")
    frames: int = Field(16, ge=1, description="Frames of each video.")
    question: bool = Field(
        True, description="Count the attention of the question only; else that of later frames as well."
    )


class RlTraces(TraceSource):
    """Episodes that a Decision Transformer plays with everything in memory."""

    count: int = Field(4, ge=1, description="Episodes of each model.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Precision of the weights.")
    update_every: int = Field(48, ge=1, description="Tokens between two updates; three per step.")
    model_seeds: tuple[int, ...] | None = Field(None, description="Which models of a family; all if absent.")
    environment_options: dict[str, Any] = Field(default_factory=dict, description="Options of the environment.")
    tokens: int = Field(900, ge=48, description="First tokens of an episode that are read; three per step.")


KINDS: dict[str, type[TraceSource]] = {"language": LanguageTraces, "video": VideoTraces, "rl": RlTraces}


class RankingConfig(Strict):
    """The scorer learns the order of later attention from the traces; no base model runs meanwhile."""

    steps: int = Field(3000, ge=1, description="Steps.")
    batch: int = Field(
        16, ge=1, description="Heads of each step; with sharing by layer or head, all that were noted of an update."
    )
    rate: float = Field(0.005, gt=0, description="Largest change of a parameter per step; falls along half a cosine.")
    sigma: float = Field(0.1, gt=0, description="Deviation of the random start.")
    smallest: float = Field(
        1 / 32,
        gt=0,
        lt=1,
        description="Smallest cache that counts; sizes from there to the whole weigh alike by octave.",
    )
    across: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of pairs from different heads, by attention; the rest are pairs of one head.",
    )


class LaterGradientConfig(GradientConfig):
    """Straight-through gradients after the ranking, or none."""

    steps: int = Field(
        150, ge=0, description="Steps, each on `samples` samples of each task; 0 to end with the ranking."
    )


class TrainConfig(EvolveConfig):
    """Traces, ranking, gradients through evictions, evolution: one network for all models."""

    traces: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="What traces are taken from: language, video, rl, each as often as needed (rl@tmaze). Keys: model, "
        "count, and those of its kind.",
    )
    recorded: str | None = Field(
        None, description="Folder `traces` of another run of the same features and sources, to record nothing anew."
    )
    ranking: RankingConfig = Field(default_factory=RankingConfig, description="Learning from the traces.")
    sharing: Literal["model", "layer", "head"] = Field(
        "model",
        description="Who shares a network: the whole model, the heads of a layer, or nobody. By layer or head it is of one "
        "model, and learns by ranking alone: gradient.steps=0, generations=0.",
    )
    gradient: LaterGradientConfig = Field(
        default_factory=LaterGradientConfig, description="Straight-through gradients on the tasks."
    )
    generations: int = Field(0, ge=0, description="Generations of evolution at the end; 0 for none.")
    keep_ranking: float = Field(
        0.5, ge=0, description="Length of the ranking's gradient in each gradient step, beside the tasks' (at most 1)."
    )

    @model_validator(mode="after")
    def _kinds(self) -> "TrainConfig":
        self.sources()
        if self.sharing != "model" and (self.gradient.steps or self.generations):
            raise ValueError(
                f"sharing: {self.sharing}: learns by ranking alone, since gradients and evolution are of one network for "
                "the whole model; set gradient.steps=0 and generations=0"
            )
        return self

    def sources(self) -> dict[str, TraceSource]:
        """The sources by name, validated.

        Raises:
            ValueError: If a kind is unknown or a key does not fit; for pydantic.
        """
        found = {}
        for name, content in self.traces.items():
            kind = name.partition("@")[0]
            if kind not in KINDS:
                raise ValueError(f"traces.{name}: unknown kind of source; {did_you_mean(kind, KINDS)}")
            found[name] = validate(KINDS[kind], content, f"traces.{name}")
        return found


def load_train_config(
    name: str | Path, overrides: Sequence[str] = (), run: str | None = None, workers: int | None = None
) -> TrainConfig:
    """Reads, merges, overrides and validates; see `load_evolve_config`.

    Raises:
        ConfigError: With one line that names file, key, value and what is expected.
    """
    from namm_xmodal.config.commands import refuse_other_command  # which knows the model of every command

    path = resolve_config(name)
    content = load_mapping(path)
    refuse_other_command("train", content, str(name))
    content = with_run(apply_overrides(content, overrides), run, path)
    if workers is not None:
        content = apply_overrides(content, with_workers(content, workers))
    return validate(TrainConfig, content, str(name))
