"""LongBench's metrics beside F1 and ROUGE-L (THUDM/LongBench, `metrics.py`; arXiv:2308.14508)."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from namm_xmodal.errors import DataError
from namm_xmodal.language.scorers.references import best


def classification(prediction: str, references: Sequence[str], classes: Sequence[str]) -> float:
    """Which share of the labels that the prediction mentions is the right one, `classification_score`.

    Of the labels that the prediction contains, those that are a part of the right one are left out; 1 / their number if the
    right one is among them. As officially, the label after one that is left out stays, whatever it is, and a prediction
    without any label scores 0 (the official search for the most similar label is never reached).

    Args:
        prediction: Generated text.
        references: Right labels, of which the best counts.
        classes: All labels.

    Raises:
        DataError: If there are no labels.
    """
    if not classes:
        raise DataError("classification: no classes; expected all labels of the task")

    def score(said: str, right: str) -> float:
        mentioned = [label for label in classes if label in said]
        at = 0
        while at < len(mentioned):
            if mentioned[at] in right and mentioned[at] != right:
                del mentioned[at]  # the next one takes its place and is passed over
            at += 1
        return 1 / len(mentioned) if right in mentioned else 0.0

    return best(score, prediction, references)


def retrieval(prediction: str, references: Sequence[str]) -> float:
    """Share of the numbers said that are the right paragraph's, `retrieval_score`; references say `Paragraph 7`."""
    return best(lambda said, right: _right_share(said, _number_after("Paragraph ", right)), prediction, references)


def retrieval_zh(prediction: str, references: Sequence[str]) -> float:
    """`retrieval` in Chinese, `retrieval_zh_score`; references say the word for paragraph (U+6BB5 U+843D) and a number."""
    return best(lambda said, right: _right_share(said, _number_after("\u6bb5\u843d", right)), prediction, references)


def count(prediction: str, references: Sequence[str]) -> float:
    """Share of the numbers said that are the right one, `count_score`."""
    return best(_right_share, prediction, references)


def code_similarity(prediction: str, references: Sequence[str]) -> float:
    """How similar the first line of code is to the right one, `code_sim_score`, in hundredths.

    The first line without a backtick, `#` or `//`, after leading line breaks; spaces count. The official number is
    `fuzz.ratio` of fuzzywuzzy, whose value depends on what is installed: this is that of difflib, as in the environment of
    the NAMM paper. With python-Levenshtein it differs by some hundredths.

    Returns:
        2 * matching characters / characters of both, rounded; 0 if one is empty, 1 if both are the same.
    """
    lines = prediction.lstrip("\n").split("\n")
    code = next((line for line in lines if not any(mark in line for mark in ("`", "#", "//"))), "")
    return best(_ratio, code, references)


def _ratio(said: str, right: str) -> float:
    if said == right:
        return 1.0
    return round(100 * SequenceMatcher(None, said, right).ratio()) / 100 if said and right else 0.0


def _right_share(prediction: str, number: str) -> float:
    numbers = re.findall(r"\d+", prediction)
    return numbers.count(number) / len(numbers) if numbers else 0.0


def _number_after(word: str, reference: str) -> str:
    found = re.search(rf"{word}(\d+)", reference)
    if found is None:
        raise DataError(f"reference {reference[:60]!r}: expected {word!r} and a number")
    return found[1]
