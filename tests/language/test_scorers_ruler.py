"""RULER's and LongBench-v2's metrics by cases computed by hand."""

import pytest

from namm_xmodal.errors import DataError
from namm_xmodal.language.scorers import choices, ruler


@pytest.mark.parametrize(
    ("said", "references", "every", "part"),
    [
        ("The numbers are 123 and 456.", ["123", "456"], 1.0, 1.0),
        ("123", ["123", "456", "789", "0"], 0.25, 1.0),
        ("PARIS", ["Paris"], 1.0, 1.0),
        ("1234", ["123"], 1.0, 1.0),  # contained is enough
        ("new\nyork", ["new york"], 0.0, 0.0),
        ("\x00Stra\u00dfe\x1f", ["stra\u00dfe"], 1.0, 1.0),
        ("", ["123"], 0.0, 0.0),
    ],
)
def test_string_match_ruler(said, references, every, part):
    assert ruler.string_match_all(said, references) == every
    assert ruler.string_match_part(said, references) == part


@pytest.mark.parametrize(
    "metric", [ruler.string_match_all, ruler.string_match_part, choices.letter, choices.code_debug]
)
def test_no_reference_is_refused(metric):
    with pytest.raises(DataError, match="no reference"):
        metric("text", [])


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("The correct answer is (B)", 1.0),
        ("The correct answer is B.", 1.0),
        ("**The correct answer is (B)**", 1.0),
        ("The correct answer is **B**", 1.0),
        ("The correct answer is A, no: The correct answer is (B)", 1.0),  # the form with brackets is looked for first
        ("The correct answer is (A). The correct answer is (B)", 0.0),
        ("The correct answer is Beta", 1.0),  # no end of the word is asked for
        ("the correct answer is (B)", 0.0),
        ("The correct answer is: (B)", 0.0),
        ("The correct answer is (E)", 0.0),
        ("B", 0.0),
        ("", 0.0),
    ],
)
def test_letter_longbench_v2(said, score):
    assert choices.letter(said, ["B"]) == score
