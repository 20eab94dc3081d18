"""The configuration of `namm-xmodal train`: that of an evolution, with traces of several models that come first."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from namm_xmodal.config.evolve import EvolveConfig, with_run, with_workers
from namm_xmodal.config.evolve_sections import GradientConfig
from namm_xmodal.config.loader import load_mapping, resolve_config
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.config.sources import InputSource, LanguageSource, RlSource, VideoSource, read_sources
from namm_xmodal.config.validation import Strict, validate


class TraceSource(InputSource):
    """What is read once, with a full cache and without labels, to see which tokens receive attention later."""

    updates: int = Field(3, ge=1, description="Updates of each that are noted, spread evenly over its length.")
    heads: int = Field(2, ge=1, description="kv heads of each layer and update that are noted, drawn anew each time.")


class LanguageTraces(LanguageSource, TraceSource):
    """Stretches of text."""


class VideoTraces(VideoSource, TraceSource):
    """Prompts about videos."""


class RlTraces(RlSource, TraceSource):
    """Episodes that a Decision Transformer plays with everything in memory."""


KINDS: dict[str, type[TraceSource]] = {"language": LanguageTraces, "video": VideoTraces, "rl": RlTraces}


class RankingConfig(Strict):
    """The scorer learns the order of later attention from the traces; no base model runs meanwhile."""

    steps: int = Field(3000, ge=0, description="Steps; 0, with a start, for none.")
    batch: int = Field(
        16, ge=1, description="Heads of each step; with sharing by layer or head, all that were noted of an update."
    )
    rate: float = Field(0.005, gt=0, description="Largest change of a parameter per step; falls along half a cosine.")
    sigma: float = Field(0.1, gt=0, description="Deviation of the random start, if `start` says zeros.")
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
        description="What traces are taken from: language, video, rl, each as often as needed (rl@tmaze). Keys: model, "
        "count, and those of its kind. {} for no traces and no ranking: gradients begin at `start`.",
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
        if not self.traces:
            given = sorted({"recorded", "ranking", "keep_ranking", "sharing"} & self.model_fields_set)
            if given:
                raise ValueError(f"{given[0]}: means nothing without traces; remove it, or name sources under traces")
            if self.start == "zeros" or not self.gradient.steps:
                raise ValueError(
                    "traces: {}: gradients need somewhere to start; set start to channels and weights, such as "
                    "{key_novelty: 0.4}, or to a saved policy, and gradient.steps above 0"
                )
        if self.ranking.steps == 0 and self.start == "zeros":
            raise ValueError(
                "ranking.steps: 0: needs somewhere to start; set start to channels and weights, such as {key_novelty: "
                "0.4}, or to a saved policy"
            )
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
        return read_sources(self.traces, KINDS, "traces")


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
