"""InfiniteBench's metrics by cases computed by hand, and by the package that its summaries are scored with."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from namm_xmodal.errors import DataError
from namm_xmodal.language.scorers import choices, f1, infinitebench, rouge


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("The key is 07123.", 1.0),
        ("07123 is it, not 5", 1.0),
        ("5, then 07123", 0.0),
        ("7123", 0.0),
        ("071234", 0.0),
        ("", 0.0),
    ],
)
def test_first_integer(said, score):
    assert infinitebench.first_integer(said, ["07123"]) == score


@pytest.mark.parametrize(
    ("said", "score"),
    [('{"key": "a1-b2"}', 1.0), ("It is a1-b2!", 1.0), ("a1-b23", 0.0), ("A1-B2", 0.0), ("(a1-b2)", 0.0), ("", 0.0)],
)
def test_contained_word(said, score):
    assert infinitebench.contained_word(said, ["zz", "a1-b2"]) == score


@pytest.mark.parametrize(
    ("said", "score"),
    [("-9", 1.0), ("The value is `-9`.", 1.0), ("-9 or 4", 0.0), ("9", 0.0), ("-9.0", 0.0), ("nine", 0.0), ("", 0.0)],
)
def test_code_run(said, score):
    assert infinitebench.code_run(said, ["-9"]) == score  # of "-9.0" the last word is "0"


@pytest.mark.parametrize(
    ("said", "right", "score"),
    [
        ("It is 42.", "42", 1.0),
        ("042", "42", 1.0),
        ("-42", "42", 1.0),  # signs are not read
        ("41 or 42", "42", 0.0),
        ("42.0", "42", 0.0),  # not an integer
        ("4.50", "4.5", 1.0),
        ("4", "4.0", 1.0),
        ("none", "42", 0.0),
        ("", "4.5", 0.0),
        ("9" * 5000, "42", 0.0),  # more digits than Python reads
    ],
)
def test_math_find(said, right, score):
    assert infinitebench.math_find(said, [right]) == score


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("[1, 13, 7, 20]", 1.0),
        ("1, 13, 7, 20, 99", 1.0),  # what comes after the last does not count
        ("1 13 8 20", 0.5),  # right before the first mistake
        ("01 13", 0.5),
        ("13", 0.0),
        ("", 0.0),
        ("9" * 5000, 0.0),
    ],
)
def test_math_calc(said, score):
    assert infinitebench.math_calc(said, ["[1, 13, 7, 20]"]) == score


def test_math_calc_keeps_signs_of_references_alone():
    assert infinitebench.math_calc("3, -1", ["[3, -1]"]) == 0.5


@pytest.mark.parametrize("metric", [infinitebench.math_find, infinitebench.math_calc, infinitebench.code_run])
def test_references_that_are_no_numbers_are_refused(metric):
    with pytest.raises(DataError, match="reference 'seven': expected a "):
        metric("7", ["seven"])


@pytest.mark.parametrize(
    ("said", "score"), [("It is bruce wayne", 1.0), ("BATMAN", 1.0), ("Bruce", 0.0), ("Wayne Bruce", 0.0), ("", 0.0)]
)
def test_dialogue_character(said, score):
    assert infinitebench.dialogue_character(said, ["BATMAN", "Bruce Wayne"]) == score


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("B", 1.0),
        ("B.", 1.0),
        ("A or rather B", 1.0),  # the last letter
        ("It is B, not A", 0.0),
        ("B, not A", 1.0),  # the last letter is wrong, but it begins with the right one
        ("load_file", 1.0),
        ("Option B", 1.0),
        ("The answer is: load_file", 1.0),
        ("The function with the error is: load_file.", 1.0),
        ("The answer is: save_file", 0.0),
        ("The answer is:", 0.0),
        ("I think load_file", 0.0),  # neither first nor announced
        ("A\nB", 0.0),  # a line's last letter, and the first line decides
        ("Because", 1.0),  # it begins with the letter
        ("", 0.0),
    ],
)
def test_code_debug(said, score):
    assert choices.code_debug(said, ["load_file", "B"]) == choices.code_debug(said, ["B", "load_file"]) == score


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("C", 1.0),
        ("A or C", 1.0),
        ("C or A", 1.0),  # the last letter is wrong, and then the first character decides
        ("A or B", 0.0),
        ("Captain Ahab", 1.0),  # it begins with the letter
        ("the white whale", 1.0),
        ("The answer is: the white whale", 1.0),
        ("The answer is the boat", 0.0),
        ("answer:", 0.0),
        ("perhaps (B)", 0.0),
        ("it must be (C)", 1.0),
        ("no idea", 0.0),
        ("", 0.0),
    ],
)
def test_choice_letter(said, score):
    assert choices.choice_letter(said, ["the white whale", "C"]) == score


@pytest.mark.parametrize(
    ("said", "score"),
    [
        ("\u6771\u4eac\u3002", 1.0),  # the full stop does not count
        ("\u6771", 2 / 3),  # 1 of 1, 1 of 2
        ("Tokyo \u6771 \u4eac", 0.4444444444444444),  # 2 of 7, 2 of 2: 2 * 2/7 / (9/7)
        ("", 0.0),
    ],
)
def test_f1_of_characters(said, score):
    assert f1.f1_characters(said, ["\u5927\u962a", "\u6771\u4eac"]) == pytest.approx(score)


@pytest.mark.parametrize(
    ("said", "references", "score"),
    [
        ("The cat sat.", ["the CAT sat"], 1.0),
        ("the cat ran", ["the black cat sat"], 4 / 7),  # 2 of 3, 2 of 4
        # Lines in another order are found whole; in one line, only one of the halves is.
        ("c d\na b", ["a b\nc d"], 1.0),
        ("c d a b", ["a b c d"], 0.5),
        ("cats", ["cat"], 0.0),  # no stemming
        ("a a", ["a"], 2 / 3),  # each as often as both have it: 1 of 2, 1 of 1
        ("x", ["y", "x"], 1.0),
        ("\u6771\u4eac", ["\u6771\u4eac"], 0.0),  # only a-z and 0-9 are words
        ("", ["a"], 0.0),
    ],
)
def test_rouge_lsum(said, references, score):
    assert rouge.rouge_lsum(said, references) == pytest.approx(score)


LINES = st.lists(st.sampled_from(["a", "b", "c", "A,", "\n", "12", "\u6211", "b-c"]), max_size=25).map(" ".join)
PACKAGE = RougeScorer(["rougeLsum"])


@settings(max_examples=200, deadline=None)
@given(LINES, LINES)
def test_rouge_lsum_is_that_of_the_package(said, right):
    expected = PACKAGE.score(right, said)["rougeLsum"].fmeasure
    assert rouge.rouge_lsum(said, [right]) == pytest.approx(expected, abs=1e-12)
