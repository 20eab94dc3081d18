"""RULER's metrics (NVIDIA/RULER, `scripts/eval/synthetic/constants.py` and `evaluate.py`; arXiv:2404.06654)."""

import re
from collections.abc import Sequence

from namm_xmodal.errors import DataError


def string_match_all(prediction: str, references: Sequence[str]) -> float:
    """Share of the references that the prediction contains, in whatever case: needles, variables, words."""
    found = _found(prediction, references)
    return sum(found) / len(found)


def string_match_part(prediction: str, references: Sequence[str]) -> float:
    """1 if the prediction contains any of the references, in whatever case: questions."""
    return float(any(_found(prediction, references)))


def _found(prediction: str, references: Sequence[str]) -> list[bool]:
    if not references:
        raise DataError("no reference answer; expected at least one")
    # As there, control characters become line breaks first, so that a reference does not stand across them.
    text = re.sub(r"[\x00-\x1f]", "\n", prediction.strip()).strip().lower()
    # A space before a reference belongs to the prompt: the text of an answer may begin without it.
    return [each.strip().lower() in text for each in references]
