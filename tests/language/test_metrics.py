"""Scores by hand-made examples."""

import math

import pytest

from namm_xmodal.language import metrics


def test_answer_probability_is_a_geometric_mean():
    assert metrics.answer_probability([math.log(0.5), math.log(0.125)]) == pytest.approx(0.25)
    assert metrics.answer_probability([0.0]) == 1.0
    assert metrics.answer_probability([-math.inf, -1.0]) == 0.0
    assert metrics.token_probability([-1.0, -3.0]) == pytest.approx(math.exp(-2))


def test_negative_log_likelihood():
    assert metrics.negative_log_likelihood([-1.0, -3.0]) == 2.0
    assert math.copysign(1, metrics.negative_log_likelihood([0.0])) == 1
    with pytest.raises(ValueError, match="no tokens"):
        metrics.negative_log_likelihood([])


@pytest.mark.parametrize(
    ("prediction", "answer", "score"),
    [
        (" 48213", " 48213", 1.0),
        (" 48213.\nQuestion: what", " 48213", 1.0),
        ("\n\n The  Answer!", " the answer", 1.0),
        (" 48213 and more", " 48213", 0.0),
        ("", " 48213", 0.0),
    ],
)
def test_exact_match(prediction, answer, score):
    assert metrics.exact_match(prediction, answer) == score


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("kitten", "sitting", 3), ("abc", "", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edit_distance(one, other, distance):
    assert metrics.edit_distance(one, other) == metrics.edit_distance(other, one) == distance


def test_edit_similarity_reads_one_line():
    assert metrics.edit_similarity("  return x\nmore", " return x") == 1.0
    assert metrics.edit_similarity("", "") == 1.0
    assert metrics.edit_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert metrics.edit_similarity("", "abc") == 0.0


def test_choice_accuracy_by_mean_and_by_sum():
    long, short = [-1.0, -1.0, -1.0], [-2.0]
    assert metrics.choice_accuracy([long, short], 0) == 1.0
    assert metrics.choice_accuracy([long, short], 0, by="sum") == 0.0
    assert metrics.choice_accuracy([[-1.0], [-1.0], [-2.0]], 0) == 0.5
    assert metrics.choice_accuracy([[-1.0], [-1.0], [-2.0]], 2) == 0.0


def test_by_position():
    values = [1.0, 2.0, 3.0, 4.0]
    assert metrics.by_position(values, [0, 2, 4, 8]) == {"0-2": 1.5, "2-4": 3.5}
    assert metrics.by_position(values, [0, 2, 8], first=1) == {"0-2": 1.0, "2-8": 3.0}
    with pytest.raises(ValueError, match="rising"):
        metrics.by_position(values, [0, 0])


def test_every_metric_says_its_range_and_direction():
    for name, metric in metrics.METRICS.items():
        assert metric.name == name
        assert metric.low < metric.high
        assert metric.higher_is_better == (name not in ("negative_log_likelihood", "empty_answer"))
