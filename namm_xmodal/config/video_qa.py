"""The configuration of `namm-xmodal video-qa`."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from namm_xmodal.config.evaluation import BootstrapConfig, Protocols
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.config.results import load_results_config, without_adapter
from namm_xmodal.config.save import GENERATED_TEXT, NAMED_BY_RECORDS, NOT_RESULTS, to_mapping
from namm_xmodal.config.validation import Strict

_NOT_IN_DIGEST = (NOT_RESULTS | NAMED_BY_RECORDS) | {"loader", "limit", "reductions", "threads"}
_ADAPTER = "llava_next_video"  # of earlier versions' files; their digests have it


class LoaderConfig(Strict):
    """How videos are decoded. Results do not depend on workers and cache."""

    workers: int = Field(
        1, ge=0, description="Decoder processes; 0 decodes in the process itself, without a time limit."
    )
    limit: float = Field(
        60.0, gt=0, description="Seconds for one video; its decoder is killed then, the video tried once more."
    )
    ahead: int = Field(4, ge=1, description="Most decoded videos that wait; bounds memory.")
    cache: str | None = Field(None, description="Folder for decoded frames; none if absent.")
    cache_gigabytes: float = Field(2.0, gt=0, description="Most that folder may hold.")
    backend: Literal["pyav", "decord"] = Field("pyav", description="pyav, or decord (needs namm-xmodal[decord]).")
    max_side: int = Field(720, ge=16, description="Larger frames are scaled to this shorter side, in pixels.")
    salvage: bool = Field(
        False, description="Use what decodes of a damaged video, with a note, instead of skipping it."
    )


class VideoQAConfig(Strict):
    """Policies and rivals against one video benchmark on one model, at equal numbers of kept visual tokens."""

    model: str = Field(
        "llava-small", min_length=1, description="A name of `namm-xmodal list models`, a folder, or a hub id."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Precision of the weights.")
    device: str = Field("cpu", description="Where the model runs: cpu, cuda, cuda:1, mps.")
    threads: int = Field(1, ge=1, description="Threads of the model's process.")
    seed: int = Field(0, ge=0, description="Seed of generated videos and of everything drawn while evaluating.")
    benchmark: str = Field(
        "generated", description="generated, composed, longvideobench, mlvu, videomme, egoschema or nextqa."
    )
    data: str = Field(
        "",
        description="Folder of the benchmark in its published layout; of pictures for `composed`; unused by `generated`.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="The benchmark's own fields, such as split or subtitles; `namm-xmodal list benchmarks`.",
    )
    limit: int | None = Field(None, ge=1, description="Only the first questions; all if absent.")
    frames: int = Field(32, ge=1, description="Frames of each video; shorter videos give all they have.")
    sampler: str = Field(
        "linspace", description="linspace, longvideobench, segment_centres or inner_points; recorded in every result."
    )
    sample_by: Literal["time", "index"] = Field(
        "time",
        description="time: exact for variable frame rates. index: as upstream code does; equal at constant rates.",
    )
    loader: LoaderConfig = Field(default_factory=LoaderConfig, description="How videos are decoded.")
    strict: bool = Field(False, description="Count skipped items as wrong instead of leaving them out.")
    policies: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="Label: {policy: a name of `namm-xmodal list policies`, and the policy's own fields}; "
        "differences are to the one that is full.",
    )
    reductions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Rivals before the cache. Label: {reduction: fewer_frames, pooling_stride, uniform_drop, "
        "random_drop or divprune, and its own fields}.",
    )
    budgets: tuple[float, ...] = Field(
        (0.5, 0.25), description="Shares of the visual tokens that may remain; the cache has room for all text besides."
    )
    update_every: int = Field(16, ge=1, description="Tokens between two updates of the cache under protocol clock.")
    protocols: Protocols = Field(
        ("clock",),
        description="clock: updates while the video is read. prompt_end: one update after video and question.",
    )
    protect_first: int = Field(1, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(4, ge=0, description="Newest tokens that are never evicted.")
    selection: Literal["ragged", "layer_max"] = Field("ragged", description="ragged, or layer_max as published.")
    attention: Literal["auto", "sdpa", "tiled"] = Field("auto", description="As in `eval`.")
    generate: bool = Field(
        False, description="Also generate an answer and read it with the official parser (secondary)."
    )
    generate_tokens: int = Field(16, ge=1, description="Most tokens to generate.")
    normalise: Literal["sum", "mean"] = Field(
        "sum", description="Likelihood of an option of several tokens: sum of log probabilities, or their mean."
    )
    bootstrap: BootstrapConfig = Field(default_factory=BootstrapConfig, description="How intervals are drawn.")
    output: str = Field("results/video", min_length=1, description="Folder of the results.")

    @model_validator(mode="before")
    @classmethod
    def _adapter(cls, content: Any) -> Any:
        return without_adapter(content, _ADAPTER)

    @field_validator("sampler")
    @classmethod
    def _sampler(cls, sampler: str) -> str:
        from namm_xmodal.video.samplers import SAMPLERS

        if sampler not in SAMPLERS:
            raise ValueError(f"{sampler!r}: unknown sampler; {did_you_mean(sampler, SAMPLERS)}")
        return sampler

    @field_validator("budgets")
    @classmethod
    def _budgets(cls, budgets: tuple[float, ...]) -> tuple[float, ...]:
        for budget in budgets:
            if not 0 < budget <= 1:
                raise ValueError(f"{budget}: expected a share of the visual tokens in (0, 1]")
        if len(set(budgets)) < len(budgets):
            raise ValueError(f"{list(budgets)}: a budget is given twice; remove one")
        return budgets

    @model_validator(mode="after")
    def _labels(self) -> "VideoQAConfig":
        both = sorted(set(self.policies) & set(self.reductions))
        if both:
            raise ValueError(f"reductions.{both[0]}: is the label of a policy too; rename one")
        return self


def load_video_qa_config(name: str | Path, overrides: Sequence[str] = (), output: str | None = None) -> VideoQAConfig:
    """See `load_results_config`."""
    return load_results_config(VideoQAConfig, name, overrides, output)


def video_digest(config: VideoQAConfig) -> str:
    """Twelve hex digits over everything that changes every result; equal digests may share a results file.

    Policies, rivals and sizes are named by each record, and more questions never change earlier ones.
    """
    content = to_mapping(config)
    relevant = {key: value for key, value in content.items() if key not in _NOT_IN_DIGEST}
    relevant["loader"] = {key: content["loader"][key] for key in ("backend", "max_side", "salvage")}
    relevant["adapter"] = _ADAPTER
    relevant["options"] = {key: value for key, value in content["options"].items() if key != "n"}
    if config.generate:
        relevant["generated_text"] = GENERATED_TEXT
    canonical = json.dumps(relevant, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def build_benchmark(config: VideoQAConfig) -> Any:
    """The benchmark that a configuration names.

    Raises:
        UnknownNameError: If there is no such benchmark.
        ConfigError: If an option is unknown or of the wrong type.
    """
    from namm_xmodal.config.building import build, settable
    from namm_xmodal.errors import ConfigError, UnknownNameError
    from namm_xmodal.video.benchmarks.table import BENCHMARKS

    if config.benchmark not in BENCHMARKS:
        raise UnknownNameError("benchmark", config.benchmark, list(BENCHMARKS))
    kind: Any = BENCHMARKS[config.benchmark]
    values = dict(config.options)
    fields = settable(kind)
    if "data" in values:
        raise ConfigError(f"options.data: no option, but a key of its own: --set data={values['data']}")
    if "data" in fields:
        values["data"] = config.data
    if "seed" in fields:
        values.setdefault("seed", config.seed)
    return build(kind, values, "options", f"benchmark {config.benchmark}")


def benchmark_options(name: str) -> dict[str, str]:
    """The fields of a benchmark that `options` may set, with their defaults as in YAML."""
    from namm_xmodal.config.building import defaults
    from namm_xmodal.video.benchmarks.table import BENCHMARKS

    shown = {field: default for field, default in defaults(BENCHMARKS[name]).items() if field != "data"}
    return {**shown, "seed": "that of the file"} if "seed" in shown else shown


def build_reduction(spec: dict[str, Any], path: str) -> Any:
    """A rival before the cache.

    Raises:
        UnknownNameError: If there is no such reduction.
        ConfigError: If a field is unknown or of the wrong type.
    """
    from namm_xmodal.config.building import build
    from namm_xmodal.errors import ConfigError, UnknownNameError
    from namm_xmodal.video.reductions import REDUCTIONS

    name = spec.get("reduction")
    if not isinstance(name, str):
        raise ConfigError(f"{path}.reduction: missing; expected one of {', '.join(REDUCTIONS)}")
    if name not in REDUCTIONS:
        raise UnknownNameError("reduction", name, list(REDUCTIONS))
    kind: Any = REDUCTIONS[name]
    return build(kind, {key: value for key, value in spec.items() if key != "reduction"}, path, f"reduction {name}")
