"""The section `agree`: models that should answer under eviction as they do with everything in memory."""

from pydantic import Field

from namm_xmodal.config.sources import InputSource, LanguageSource, RlSource, VideoSource


class AgreeSource(InputSource):
    """A source of the objective "agree with the full cache"."""

    budget: float | None = Field(
        None, gt=0, le=1, description="Kept fraction that the last gradient steps aim at; gradient.budget if absent."
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
