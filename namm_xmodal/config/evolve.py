"""The configuration of `namm-xmodal evolve`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from namm_xmodal.config.agree import KINDS, AgreeSource
from namm_xmodal.config.channels import FeaturesValue
from namm_xmodal.config.evolve_sections import (
    EvaluatorConfig,
    GradientConfig,
    SizePressureConfig,
    StatisticsConfig,
    StrategyConfig,
    TrackingConfig,
)
from namm_xmodal.config.loader import Mapping, load_mapping, resolve_config
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.config.save import digest, to_mapping
from namm_xmodal.config.section import BudgetValue
from namm_xmodal.config.sources import read_sources
from namm_xmodal.config.validation import Strict, validate


def _as_list(value: Any) -> Any:
    """Lets people write one model where a list is expected."""
    return [value] if isinstance(value, str) else value


Models = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_list)]


def _weights_or_name(value: Any) -> Any:
    """Gives one message for a wrong start, where pydantic would list what each member of the union expects."""
    if isinstance(value, dict):
        for name, weight in value.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
                raise ValueError(f"{name}: {weight!r}: expected a finite weight, such as 0.4")
    elif not isinstance(value, str) or not value:
        raise ValueError(f"{value!r}: expected zeros, a saved policy, or a mapping of channels to weights")
    return value


Start = Annotated[str | dict[str, float], BeforeValidator(_weights_or_name)]
"""See `EvolveConfig.start`."""

# Keys that may change when a run is resumed, and keys that the journal compares itself.
NOT_IN_DIGEST = frozenset(
    {"evaluator", "held_out", "validation", "generations", "tracking", "run"}
    | {"strategy", "start", "size_pressure", "seed", "after", "gradient", "sharing", "start_sigma"}
)


class EvolveConfig(Strict):
    """Evolution of one NAMM on tasks of language models, on its agreement with the full cache of any models, or on both."""

    models: Models = Field(
        (),
        description="Base models of the tasks: names of `namm-xmodal list models`, folders or hub ids. Members are scored "
        "on each.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Precision of the weights: auto, float32, bfloat16 or float16."
    )
    device: str = Field("cpu", min_length=1, description="Where the models run: cpu, cuda, cuda:1, mps.")
    threads: int = Field(
        1, ge=1, description="Threads of each worker; two single-threaded workers beat one with two threads."
    )
    rows: int = Field(32, ge=1, description="Maximum number of members in one batch; lower it if memory runs out.")
    evaluator: EvaluatorConfig = Field(default_factory=EvaluatorConfig, description="Where members are scored.")
    seed: int = Field(
        1337, ge=0, description="Seed of strategy and samples. Validation uses seed + 1, held_out.yaml seed + 2."
    )
    tasks: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Training tasks. Label: {task: a name of `namm-xmodal list tasks`, and the task's own fields}.",
    )
    agree: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description=(
            "Models whose pruned outputs should agree with their full-cache outputs, on unlabelled inputs: language, "
            "video, rl; several of a kind as rl@hopper. Keys: model, count, and those of the kind."
        ),
    )
    held_out: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description=(
            "Held-out tasks, never trained on and evaluated afterwards: label: "
            "{task, n: samples, and the task's fields}."
        ),
    )
    samples: int = Field(4, ge=1, description="Samples per task per generation, the same for all members.")
    pool: int = Field(64, ge=1, description="Training samples per task; generations draw without replacement.")
    update_every: int = Field(128, ge=1, description="Tokens between two updates of the cache; a multiple of 16.")
    protect_first: int = Field(4, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(8, ge=0, description="Newest tokens that are never evicted.")
    strategy: StrategyConfig = Field(default_factory=StrategyConfig, description="The evolution strategy.")
    generations: int = Field(100, ge=1, description="Number of generations; may be raised later.")
    start: Start = Field(
        "zeros",
        description="First mean: zeros (keeps everything), a saved policy (folder, shipped name or hub id), or a mapping "
        "of channels to weights, such as {key_novelty: 0.4}: an untrained network that ranks tokens by their weighted "
        "sum.",
    )
    start_sigma: float = Field(
        0.03,
        gt=0,
        description="Standard deviation of all other parameters if start is a mapping of channels to weights.",
    )
    scorer: Literal["bam", "mlp"] = Field("bam", description="Network of the NAMM: bam as published, or mlp.")
    features: FeaturesValue = Field(
        "spectrogram",
        description="Features of a token: spectrogram as published, or a list of channels such as [spectrogram, "
        "key_novelty, {channel: convolution, standardise: context}]. A mapping holds channel (a name of `namm-xmodal "
        "list "
        "channels`), standardise (frozen statistics, or context: over the live tokens of a head) and the channel's own "
        "settings.",
    )
    ema_coefficient: float = Field(
        0.99, gt=0, lt=1, description="Decay of averaged attention per query, for channels that set none."
    )
    threshold: float = Field(
        0.0,
        description="Tokens that score at least this are kept; -.inf keeps the best max_tokens of every head.",
    )
    max_tokens: BudgetValue | None = Field(
        None,
        description=(
            "Maximum number of tokens kept per head: a fraction of the tokens seen, or a number of tokens; null for no "
            "limit."
        ),
    )
    statistics: StatisticsConfig = Field(
        default_factory=StatisticsConfig, description="Statistics by which features are standardised."
    )
    size_pressure: SizePressureConfig = Field(default_factory=SizePressureConfig, description="Penalty on cache size.")
    gradient: GradientConfig = Field(
        default_factory=GradientConfig, description="Settings of `namm-xmodal warm-start`."
    )
    after: str | None = Field(
        None, description="Run folder of the previous stage, whose strategy state and feature statistics are continued."
    )
    validation: int = Field(
        32,
        ge=0,
        description=(
            "Fresh samples per task on which the answer is compared with its start; at least 10 for a conclusion, 0 "
            "for none."
        ),
    )
    tracking: TrackingConfig = Field(default_factory=TrackingConfig, description="Loggers that mirror the journal.")
    run: str = Field("runs/evolve", min_length=1, description="Folder of the run.")

    @model_validator(mode="after")
    def _fits(self) -> "EvolveConfig":
        self.agree_sources()
        if not self.tasks and not self.agree:
            raise ValueError("tasks: none, and no source under agree; expected at least one of either")
        if (self.tasks or self.held_out) and not self.models:
            raise ValueError("models: missing; tasks need a base model, such as models: smollm2-135m")
        if len(set(self.models)) < len(self.models):
            raise ValueError(f"models: {list(self.models)}: contains a model twice; remove one")
        if self.samples > self.pool:
            raise ValueError(f"samples: {self.samples}: expected at most pool = {self.pool}; make the pool larger")
        if self.threshold == -math.inf and self.max_tokens is None:
            raise ValueError(
                "threshold: -.inf: keeps everything unless max_tokens is set; set max_tokens, such as 0.25"
            )
        if self.gradient.trained == "last_layer" and self.scorer != "bam":
            raise ValueError(
                f"gradient.trained: last_layer: scorer {self.scorer} has no linear last layer; set scorer: bam"
            )
        smallest = self.gradient.smallest_budget
        for name, source in self.agree_sources().items():
            if source.share_of == "whole" and self.gradient.selection == "pooled":
                raise ValueError(
                    f"agree.{name}.share_of: whole: not possible with pooled thresholds, which depend on the tokens "
                    "seen; set gradient.selection: head"
                )
            if source.smallest_budget is not None and smallest is None:
                raise ValueError(
                    f"agree.{name}.smallest_budget: only works with gradient.smallest_budget; set that too"
                )
            largest, least = source.budget or self.gradient.budget, source.smallest_budget or smallest
            if least is not None and largest < least:
                place = "gradient.smallest_budget" if source.smallest_budget is None else "its smallest_budget"
                raise ValueError(f"agree.{name}.budget: {largest}: expected at least {place} = {least}")
        rollouts = self.gradient.policy_gradient.rollouts
        if self.gradient.estimator == "policy_gradient" and rollouts > self.rows:
            raise ValueError(
                f"gradient.policy_gradient.rollouts: {rollouts}: expected at most rows = {self.rows}, since they form "
                "one batch; raise rows, or use fewer rollouts and more samples"
            )
        both = sorted(set(self.tasks) & set(self.held_out))
        if both:
            raise ValueError(f"held_out.{both[0]}: is also a training task; rename or remove one")
        return self

    @field_validator("threshold")
    @classmethod
    def _finite_or_none(cls, value: float) -> float:
        if math.isfinite(value) or value == -math.inf:
            return value
        raise ValueError(f"{value}: expected a number, finite or -.inf")

    def agree_sources(self) -> dict[str, AgreeSource]:
        """The sources of agreement by name, validated.

        Raises:
            ValueError: If a kind is unknown or a key does not fit; for pydantic.
        """
        return read_sources(self.agree, KINDS, "agree")


def load_evolve_config(
    name: str | Path, overrides: Sequence[str] = (), run: str | None = None, workers: int | None = None
) -> EvolveConfig:
    """Reads, merges, overrides and validates.

    Args:
        name: Path or packaged name of a YAML file.
        overrides: `a.b=c` assignments.
        run: Folder of the run; wins over the file's `run`, which defaults to `runs/<name of the file>`.
        workers: Number of workers; more than one replaces an in-process evaluator by local processes.

    Raises:
        ConfigError: With one line that names file, key, value and what is expected.
    """
    from namm_xmodal.config.commands import refuse_other_command  # which knows the model of every command

    path = resolve_config(name)
    content = load_mapping(path)
    refuse_other_command("evolve", content, str(name))
    content = apply_overrides(content, overrides)
    content = with_run(content, run, path)
    if workers is not None:
        content = apply_overrides(content, with_workers(content, workers))
    return validate(EvolveConfig, content, str(name))


def with_run(content: Mapping, run: str | None, path: Path) -> Mapping:
    """The same with a folder for the run: what is asked for, else the file's, else `runs/<name of the file>`."""
    return {**content, "run": run or content.get("run") or f"runs/{path.stem}"}


def with_workers(content: Mapping, workers: int) -> list[str]:
    """Assignments that make so many workers of what a file says."""
    evaluator = content.get("evaluator")
    kind = evaluator.get("kind") if isinstance(evaluator, dict) else None
    changed = [] if kind == "ray" else [f"evaluator.kind={'processes' if workers > 1 else 'in_process'}"]
    return [*changed, f"evaluator.workers={workers}"]


def evolve_digest(config: EvolveConfig, statistics: str) -> str:
    """Digest (twelve hex digits) of everything that affects scores; a journal with another digest is refused.

    Args:
        config: The configuration.
        statistics: Digest of the feature statistics.
    """
    relevant = {key: value for key, value in to_mapping(config).items() if key not in NOT_IN_DIGEST}
    if not config.agree:
        del relevant["agree"]  # journals of tasks alone are older than the section
    relevant["statistics"] = {**relevant["statistics"], "numbers": statistics}
    return digest(relevant)
