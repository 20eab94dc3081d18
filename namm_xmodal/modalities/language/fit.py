"""Plain text to fit a NAMM to a language model."""

import random
from collections.abc import Sequence

import torch

from namm_xmodal.evaluation.fit import Inputs
from namm_xmodal.language.models import LanguageModel
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.texts import find_texts

TEXTS, TOKENS, SOURCE = 8, 768, "python-topics"
LONG_TEXTS, LONG = 4, 2048
SPARE = 32
"""Texts end after a whole word, which must not come before the last update."""


class PlainTexts:
    """Texts that are no samples of a task."""

    def __init__(self, language: LanguageModel, update_every: int) -> None:
        """Reads nothing yet.

        Args:
            language: The model.
            update_every: The clock of the policy, for the record.
        """
        self.language = language
        self._tokens = text_length(TOKENS, language.max_context)
        self.source = (
            f"{language.name}, {TEXTS} texts of {self._tokens} tokens of {SOURCE}, update every {update_every}"
        )

    def for_statistics(self) -> Sequence[Inputs]:
        """See `PlainInputs.for_statistics`."""
        return plain_texts(self.language, SOURCE, self._tokens, TEXTS, f"feature statistics, {SOURCE}")

    def for_calibration(self) -> Sequence[Inputs]:
        """See `PlainInputs.for_calibration`."""
        longest = text_length(LONG, self.language.max_context)
        return plain_texts(self.language, SOURCE, longest + SPARE, LONG_TEXTS, f"calibration, {SOURCE}")


def text_length(wanted: int, context: int | None) -> int:
    """Tokens of a plain text: as many as wanted, unless the model was built for fewer."""
    return wanted if context is None else min(wanted, context - SPARE)


def plain_texts(language: LanguageModel, texts: str, tokens: int, count: int, seed: str) -> list[Inputs]:
    """Plain texts as token ids, (1, T) each.

    Args:
        language: Whose tokens to count.
        texts: A name of `list_texts()`.
        tokens: Of each text.
        count: Texts.
        seed: Words; samples of tasks are drawn with numbers, so none of them is met here by its seed.
    """
    rng, documents, device = random.Random(seed), find_texts(texts), language.model.device
    places = [draw_place(documents, tokens, rng) for _ in range(count)]
    return [
        {
            "input_ids": torch.tensor(
                [language.tokenizer(place.read(tokens, language.tokenizer)).input_ids], device=device
            )
        }
        for place in places
    ]
