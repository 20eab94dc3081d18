"""The section `video`: policies and pre-LLM token reductions against one video benchmark, at equal kept visual tokens."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from namm_xmodal.config.names import did_you_mean
from namm_xmodal.config.section import Schedules, Section, as_list
from namm_xmodal.config.validation import Strict


class LoaderConfig(Strict):
    """How videos are decoded. Results do not depend on workers and cache."""

    workers: int = Field(
        1, ge=0, description="Number of decoder processes; 0 decodes in the main process, without a time limit."
    )
    limit: float = Field(
        60.0, gt=0, description="Time limit per video in seconds; then its decoder is killed and the item skipped."
    )
    ahead: int = Field(4, ge=1, description="Maximum number of decoded videos in the queue; limits memory.")
    cache: str | None = Field(None, description="Cache folder for decoded frames; default: no cache.")
    cache_gigabytes: float = Field(2.0, gt=0, description="Maximum size of that folder.")
    backend: Literal["pyav", "decord"] = Field("pyav", description="pyav, or decord (needs namm-xmodal[decord]).")
    max_side: int = Field(720, ge=16, description="Larger frames are scaled to this shorter side, in pixels.")
    salvage: bool = Field(
        False, description="Use the frames that decode of a damaged video, with a note, instead of skipping it."
    )


class VideoSection(Section):
    """Questions about videos."""

    model: str = Field(
        "llava-small", min_length=1, description="A name of `namm-xmodal list models`, a folder, or a hub id."
    )
    benchmark: str = Field("generated", description="A name of `namm-xmodal list benchmarks`.")
    data: str = Field(
        "",
        description="Folder of the benchmark in its published layout; of pictures for `composed`; unused by `generated`.",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="The benchmark's own fields, such as split or subtitles; `list benchmarks`."
    )
    limit: int | None = Field(None, ge=1, description="Use only the first questions; default: all.")
    frames: int = Field(32, ge=1, description="Frames per video; shorter videos use all of their frames.")
    sampler: str = Field("linspace", description="A name of `namm-xmodal list samplers`; recorded in every result.")
    sample_by: Literal["time", "index"] = Field(
        "time",
        description="How frames are placed. time: exact for variable frame rates. index: as in upstream code; equal at "
        "constant rates.",
    )
    loader: LoaderConfig = Field(default_factory=LoaderConfig, description="How videos are decoded.")
    strict: bool = Field(False, description="Count skipped questions as wrong instead of leaving them out.")
    reductions: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Pre-LLM token-reduction baselines. Label: {reduction: a name of `namm-xmodal list reductions`, and "
        "its own fields}.",
    )
    budgets: Annotated[tuple[float, ...], BeforeValidator(as_list)] = Field(
        (0.5, 0.25), description="Cache sizes as shares of the visual tokens; text tokens come on top."
    )
    update_every: int = Field(16, ge=1, description="Tokens between two updates of the cache while the video is read.")
    schedules: Schedules = Field(
        ("streaming",),
        description="streaming: evictions while the video is read. post_context: once, after the last frame and before "
        "what follows it. post_prefill: once, after video and question.",
    )
    protect_first: int = Field(1, ge=0, description="Oldest tokens that are never evicted.")
    protect_recent: int = Field(4, ge=0, description="Newest tokens that are never evicted.")
    generate: bool = Field(
        False, description="Also generate an answer and parse it with the official parser (secondary metric)."
    )
    generate_tokens: int = Field(16, ge=1, description="Maximum tokens to generate.")
    normalise: Literal["sum", "mean"] = Field(
        "sum", description="Likelihood of an option with several tokens: sum or mean of log probabilities."
    )

    @field_validator("sampler")
    @classmethod
    def _sampler(cls, sampler: str) -> str:
        from namm_xmodal.video.samplers import SAMPLERS

        if sampler not in SAMPLERS:
            raise ValueError(f"{sampler!r}: unknown sampler; {did_you_mean(sampler, SAMPLERS)}")
        return sampler

    @field_validator("budgets")
    @classmethod
    def _sizes(cls, budgets: tuple[float, ...]) -> tuple[float, ...]:  # in place of what other sections allow
        for budget in budgets:
            if not 0 < budget <= 1:
                raise ValueError(f"{budget}: expected a share of the visual tokens in (0, 1]")
        if len(set(budgets)) < len(budgets):
            raise ValueError(f"{list(budgets)}: contains a budget twice; remove one")
        return budgets

    @model_validator(mode="after")
    def _labels(self) -> "VideoSection":
        both = sorted(set(self.policies) & set(self.reductions))
        if both:
            raise ValueError(f"reductions.{both[0]}: is also the label of a policy; rename one")
        return self
