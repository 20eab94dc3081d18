"""The section `agree`: models that should answer under eviction as they do with everything in memory."""

from typing import Literal

from pydantic import Field

from namm_xmodal.config.sources import InputSource, LanguageSource, RlSource, VideoSource


class AgreeSource(InputSource):
    """A source of the objective "agree with the full cache"."""

    budget: float | None = Field(
        None, gt=0, le=1, description="Kept fraction that the last gradient steps aim at; gradient.budget if absent."
    )
    smallest_budget: float | None = Field(
        None, gt=0, le=1, description="Smallest budget that a sample draws; gradient.smallest_budget if absent."
    )
    samples: int | None = Field(
        None, ge=1, description="Inputs per gradient step or generation; those of the whole run, `samples`, if absent."
    )
    weight: float = Field(
        1.0, gt=0, description="What the gradient of an input weighs beside that of a sample of a task."
    )
    share_of: Literal["seen", "whole"] | None = Field(
        None, description="What its budgets are shares of; gradient.share_of if absent."
    )
    floor: int | None = Field(
        None, ge=0, description="Tokens kept at least in gradient steps; gradient.floor if absent."
    )


class LanguageAgree(LanguageSource, AgreeSource):
    """Stretches of text: KL(full || pruned) of the next token, nats, averaged over the tokens that count."""


class VideoAgree(VideoSource, AgreeSource):
    """Prompts about videos: as for texts, half of it on the last token, after which the answer begins."""


class RlAgree(RlSource, AgreeSource):
    """Episodes: squared distance of actions in units of their variance in the episode, which is nats as well."""


KINDS: dict[str, type[AgreeSource]] = {"language": LanguageAgree, "video": VideoAgree, "rl": RlAgree}
