"""The configuration of `namm-xmodal train`: an evolution file, plus traces of several models that are learnt from first."""

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
    """Inputs read once, with a full cache and without labels, to record which tokens receive attention later."""

    updates: int = Field(3, ge=1, description="Updates recorded per input, spread evenly over its length.")
    heads: int = Field(2, ge=1, description="kv heads recorded per layer and update, drawn at random each time.")


class LanguageTraces(LanguageSource, TraceSource):
    """Stretches of text."""


class VideoTraces(VideoSource, TraceSource):
    """Prompts about videos."""


class RlTraces(RlSource, TraceSource):
    """Episodes that a Decision Transformer plays with everything in memory."""


KINDS: dict[str, type[TraceSource]] = {"language": LanguageTraces, "video": VideoTraces, "rl": RlTraces}


class RankingConfig(Strict):
    """The scorer learns the order of later attention from the traces, without running a base model."""

    steps: int = Field(3000, ge=0, description="Number of steps; 0, together with a start, for none.")
    batch: int = Field(
        16, ge=1, description="Heads per step; with sharing by layer or head, all that were recorded of an update."
    )
    rate: float = Field(
        0.005, gt=0, description=("Learning rate: the largest change of a parameter per step; follows a cosine decay.")
    )
    sigma: float = Field(0.1, gt=0, description="Standard deviation of the random start, if `start` is zeros.")
    smallest: float = Field(
        1 / 32,
        gt=0,
        lt=1,
        description="Smallest cache share that counts; shares from there to 1 are weighted log-uniformly.",
    )
    across: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Weight of pairs from different heads, compared by attention; the rest are pairs within a head.",
    )


class LaterGradientConfig(GradientConfig):
    """Straight-through gradients after the ranking, or none."""

    steps: int = Field(
        150, ge=0, description="Number of steps, each on `samples` samples per task; 0 to stop after the ranking."
    )


class TrainConfig(EvolveConfig):
    """Traces, ranking, gradients through evictions, evolution: one network for all models."""

    traces: dict[str, dict[str, Any]] = Field(
        description=(
            "Sources of traces: language, video, rl; several of a kind as rl@tmaze. Keys: model, count, and those of "
            "the kind. {} for no traces and no ranking: gradients begin at `start`."
        ),
    )
    recorded: str | None = Field(
        None, description="Folder `traces` of another run with the same features and sources, to reuse its recordings."
    )
    ranking: RankingConfig = Field(default_factory=RankingConfig, description="Settings of learning from the traces.")
    sharing: Literal["model", "layer", "head"] = Field(
        "model",
        description=(
            "What shares a network: the whole model, the heads of a layer, or each head has its own. By layer or head, "
            "the policy is for one model and learns by ranking only: set gradient.steps=0 and generations=0."
        ),
    )
    gradient: LaterGradientConfig = Field(
        default_factory=LaterGradientConfig, description="Straight-through gradients on the tasks."
    )
    generations: int = Field(0, ge=0, description="Generations of evolution at the end; 0 for none.")
    keep_ranking: float = Field(
        0.5,
        ge=0,
        description=(
            "Length of the ranking gradient added in each gradient step, relative to that of the tasks (at most 1)."
        ),
    )

    @model_validator(mode="after")
    def _kinds(self) -> "TrainConfig":
        self.sources()
        if not self.traces:
            given = sorted({"recorded", "ranking", "keep_ranking", "sharing"} & self.model_fields_set)
            if given:
                raise ValueError(f"{given[0]}: has no effect without traces; remove it, or add sources under traces")
            if self.start == "zeros" or not self.gradient.steps:
                raise ValueError(
                    "traces: {}: gradients need a start; set start to channels and weights, such as "
                    "{key_novelty: 0.4}, or to a saved policy, and gradient.steps above 0"
                )
        if self.ranking.steps == 0 and self.start == "zeros":
            raise ValueError(
                "ranking.steps: 0: needs a start; set start to channels and weights, such as {key_novelty: "
                "0.4}, or to a saved policy"
            )
        if self.sharing != "model" and (self.gradient.steps or self.generations):
            raise ValueError(
                f"sharing: {self.sharing}: learns by ranking only, since gradients and evolution train one network for "
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
