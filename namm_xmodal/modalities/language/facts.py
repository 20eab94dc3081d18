"""What a language outcome reports beside its scores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LanguageFacts:
    """Facts of one sample.

    Attributes:
        prompt_tokens: Tokens read before the answer.
    """

    prompt_tokens: int = 0
