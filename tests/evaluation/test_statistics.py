"""Intervals on distributions whose answer is known."""

import numpy as np
import pytest
from namm_xmodal.evaluation.statistics import bootstrap_mean, paired_difference

from namm_xmodal.errors import DataError


def test_interval_of_a_normal_sample_is_the_textbook_one():
    values = np.random.default_rng(0).normal(3, 2, 400)
    interval = bootstrap_mean(values.tolist(), resamples=4000)
    half = 1.96 * values.std(ddof=1) / 20
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.02)
    assert interval.n == 400


def test_interval_covers_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(1)
    hits = 0
    for seed in range(300):
        interval = bootstrap_mean(generator.normal(0, 1, 40).tolist(), resamples=400, seed=seed)
        hits += interval.low <= 0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.98  # percentile intervals of 40 samples are a little narrow


def test_pairing_removes_what_samples_have_in_common():
    generator = np.random.default_rng(2)
    difficulty = generator.normal(0, 10, 50)
    full, pruned = difficulty, difficulty - 0.5 + generator.normal(0, 0.1, 50)
    paired = paired_difference(pruned.tolist(), full.tolist())
    assert paired.mean == pytest.approx(-0.5, abs=0.05)
    assert paired.excludes_zero
    assert paired.high - paired.low < 0.1
    alone = bootstrap_mean(pruned.tolist())
    assert alone.high - alone.low > 1


def test_same_seed_same_interval_and_global_state_is_untouched():
    np.random.seed(3)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    values = [0.1, 0.9, 0.4, 0.7]
    assert bootstrap_mean(values, seed=5) == bootstrap_mean(values, seed=5)
    assert bootstrap_mean(values, seed=5) != bootstrap_mean(values, seed=6)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_one_sample_has_no_interval():
    interval = bootstrap_mean([0.3])
    assert (interval.mean, interval.low, interval.high, interval.n) == (0.3, None, None, 1)
    assert not interval.excludes_zero


def test_equal_values_have_an_interval_of_width_zero():
    interval = bootstrap_mean([1.0] * 8)
    assert (interval.low, interval.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected at least one score"),
        ([1.0, float("nan")], "sample 1 is nan"),
        ([float("inf")], "sample 0 is inf"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(DataError, match=message):
        bootstrap_mean(values)


def test_pairs_need_the_same_samples():
    with pytest.raises(DataError, match="2 scores against 1"):
        paired_difference([1.0, 2.0], [1.0])
