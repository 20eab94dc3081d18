"""The record of one episode."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Stop = Literal["terminated", "truncated", "limit", "failed"]


@dataclass(frozen=True)
class Episode:
    """How one episode went.

    Attributes:
        environment: Its gymnasium id, version included: scores of different versions are different scores.
        seed: Seed of its reset.
        total: Sum of rewards.
        length: Steps.
        tokens_seen: Tokens that the agent was given.
        kept_end: Tokens in memory at the end, averaged over layers and heads.
        kept_mean: The same, averaged over steps.
        stop: `terminated` or `truncated` by the environment, `limit` of steps reached, or `failed`.
        message: What failed, else empty.
        survivors: What its memory held, by kind and age; None if nobody looked.
    """

    environment: str
    seed: int
    total: float
    length: int
    tokens_seen: int
    kept_end: float
    kept_mean: float
    stop: Stop
    message: str = ""
    survivors: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """For a line of a results file."""
        return asdict(self)
