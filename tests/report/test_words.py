"""Numbers in tables: as many digits as a marked difference needs, and no sign on a zero."""

import pytest

from namm_xmodal.evaluation.estimate import Estimate
from namm_xmodal.report.words import counted, digits_for, ended, interval_words, listed, number, schedules_in_words


def estimate(value, low, high, n=24):
    return Estimate(value, low, high, n, "mean", {}, 0.95, 2000, 0)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (estimate(-0.0002, -0.0003, -0.0001), "-0.0002 [-0.0003, -0.0001]"),
        (estimate(0.05, 0.00004, 0.1), "+0.05000 [+0.00004, +0.10000]"),
        (estimate(-4e-9, -5e-9, -3e-9), "-4.0e-09 [-5.0e-09, -3.0e-09]"),
        (estimate(-0.0002, -0.0003, 0.0001), "0.000 [0.000, 0.000]"),  # no difference is claimed
        (estimate(-0.0002, -0.0003, -0.0001, n=9), "0.000 [0.000, 0.000]"),
        (estimate(0.25, 0.125, 0.5), "+0.250 [+0.125, +0.500]"),
        (estimate(-0.0001, None, None, n=1), "0.000 [n = 1]"),
        (estimate(0.5, None, None, n=3), "+0.500 [one group]"),
    ],
)
def test_differences(found, words):
    assert interval_words(found, 3, sign=True) == words


def test_scores_have_digits_that_tell_them_apart():
    assert [digits_for([value]) for value in (12, 0.5, 0.15, 0.05, 0.004, 0.0004, 0)] == [1, 2, 3, 3, 4, 5, 2]
    assert interval_words(estimate(0.00412, 0.0039, 0.0043), digits_for([0.00412])) == "0.0041 [0.0039, 0.0043]"
    assert [number(-0.0001, 3), number(0.0001, 3, sign=True), number(-0.25, 2)] == ["0.000", "0.000", "-0.25"]


def test_lists_and_sentences():
    assert [counted(1, "arm"), counted(1200, "policy", "policies")] == ["1 arm", "1,200 policies"]
    assert [listed(["a"]), listed("aab"), listed("abca")] == ["a", "a and b", "a, b and c"]
    assert [ended("What?"), ended("Kept"), ended("Done. ")] == ["What?", "Kept.", "Done."]


def test_schedules_are_explained_where_one_prunes_once():
    assert schedules_in_words(["streaming", "none"]) == ""
    words = schedules_in_words(["streaming", "post_prefill"])
    assert words.startswith("streaming: pruned every update_every tokens while the text or video is read, ")
    assert words.endswith("; post_prefill: pruned once, after the question was read (query-aware).")
