"""The section `agree`: models whose pruned outputs should agree with their full-cache outputs."""

from typing import Literal

from pydantic import Field

from namm_xmodal.config.sources import InputSource, LanguageSource, RlSource, VideoSource


class AgreeSource(InputSource):
    """A source of the objective "agree with the full cache"."""

    budget: float | None = Field(
        None, gt=0, le=1, description="Kept fraction at the last gradient steps; default: gradient.budget."
    )
    smallest_budget: float | None = Field(
        None, gt=0, le=1, description="Smallest budget that a sample draws; default: gradient.smallest_budget."
    )
    samples: int | None = Field(
        None, ge=1, description="Inputs per gradient step or generation; default: `samples` of the run."
    )
    weight: float = Field(1.0, gt=0, description="Weight of an input's gradient relative to that of a task sample.")
    share_of: Literal["seen", "whole"] | None = Field(
        None, description="What budgets are shares of; default: gradient.share_of."
    )
    floor: int | None = Field(
        None, ge=0, description="Minimum number of tokens kept in gradient steps; default: gradient.floor."
    )


class LanguageAgree(LanguageSource, AgreeSource):
    """Passages of text: KL(full || pruned) of the next token in nats, averaged over the tokens that count."""


class VideoAgree(VideoSource, AgreeSource):
    """Prompts about videos: as for texts, with half of the weight on the last token, after which the answer begins."""


class RlAgree(RlSource, AgreeSource):
    """Episodes: squared distance of actions in units of their variance in the episode, also in nats."""


KINDS: dict[str, type[AgreeSource]] = {"language": LanguageAgree, "video": VideoAgree, "rl": RlAgree}
