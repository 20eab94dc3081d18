"""What an episode reports beside its return."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EpisodeFacts:
    """Facts of one episode.

    Attributes:
        environment: Its gymnasium id, version included: scores of different versions are different scores.
        target: Return asked for.
        length: Steps.
        tokens_seen: Tokens that the agent was given.
        kept_end: Tokens in memory at the end, averaged over layers and heads; `Record.kept` has the mean over steps.
        stop: `terminated` or `truncated` by the environment, `limit` of steps reached, or `failed`.
        survivors: What its memory held, by kind and age; None if tracking is off.
    """

    environment: str = ""
    target: float = 0.0
    length: int = 0
    tokens_seen: int = 0
    kept_end: float = 0.0
    stop: str = ""
    survivors: dict[str, Any] | None = None
