"""Estimates and their intervals, against formulas computed in another way."""

import numpy as np
import pytest

from namm_xmodal.errors import DataError
from namm_xmodal.evaluation.bootstrap import interquartile_mean
from namm_xmodal.evaluation.estimate import estimate, paired
from namm_xmodal.evaluation.relative import ratio


def test_the_interval_of_a_mean_is_that_of_plain_resampling():
    values = np.random.default_rng(1).normal(0.3, 1.0, 60)
    found = estimate(values.tolist(), resamples=500, seed=7)
    drawn = values[np.random.default_rng(7).integers(0, 60, (500, 60))].mean(1)
    assert (found.low, found.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=1e-12)
    assert found.value == pytest.approx(values.mean())


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        found = estimate(generator.normal(0, 1, 40).tolist(), resamples=400, seed=seed)
        hits += found.low <= 0 <= found.high
    assert 0.88 <= hits / 200 <= 0.98


def test_questions_about_one_video_are_drawn_together():
    right = np.repeat([0.0, 1.0] * 10, 5)  # all five questions about a video are answered alike
    videos = np.repeat(np.arange(20), 5).tolist()
    alone, together = estimate(right.tolist()), estimate(right.tolist(), clusters=videos)
    assert together.high - together.low == pytest.approx((alone.high - alone.low) * 5**0.5, rel=0.2)
    by_hand = np.repeat([0.0, 1.0] * 10, 1)[np.random.default_rng(0).integers(0, 20, (2000, 20))].mean(1)
    assert (together.low, together.high) == pytest.approx(np.quantile(by_hand, [0.025, 0.975]))


def test_clusters_of_unequal_size_weigh_by_their_items():
    found = estimate([1.0, 1.0, 1.0, 0.0], clusters=["a", "a", "a", "b"], resamples=400)
    assert found.value == 0.75
    assert (found.low, found.high) == (0.0, 1.0)


def test_a_macro_mean_weighs_types_alike():
    values, kinds = [1.0] * 9 + [0.0], ["often"] * 9 + ["rare"]
    found = estimate(values, estimator="macro", strata=kinds)
    assert found.value == 0.5
    assert found.by_stratum == {"often": 1.0, "rare": 0.0}
    with pytest.raises(DataError, match="macro mean without strata"):
        estimate(values, estimator="macro")


def test_interquartile_means_and_stratified_draws():
    values = np.array([9.0, 1, 2, 3, 4, 5, 6, 7, 8, 100])
    assert interquartile_mean(values, np.ones((1, 10)))[0] == pytest.approx(np.mean([3, 4, 5, 6, 7, 8]))
    twice = np.array([2.0, 0, 1, 1, 1, 1, 1, 1, 1, 1])  # the first is counted twice, the second not at all
    pooled = np.sort(np.repeat(values, twice.astype(int)))
    assert interquartile_mean(values, twice[None])[0] == pytest.approx(pooled[2:-2].mean())
    models = ["a"] * 4 + ["b"] * 6
    found = estimate(values.tolist(), estimator="iqm", strata=models, resamples=300, seed=3)
    rng = np.random.default_rng(3)
    drawn = np.concatenate([values[:4][rng.integers(0, 4, (300, 4))], values[4:][rng.integers(0, 6, (300, 6))]], 1)
    means = np.sort(drawn, 1)[:, 2:-2].mean(1)
    assert (found.low, found.high) == pytest.approx(np.quantile(means, [0.025, 0.975]))
    assert found.by_stratum == {"a": pytest.approx(2.5), "b": pytest.approx(6.5)}


def test_pairing_removes_what_is_common():
    generator = np.random.default_rng(2)
    full = generator.normal(0, 1, 50)
    pruned = full - 0.1 + generator.normal(0, 0.05, 50)
    difference, alone = paired(pruned.tolist(), full.tolist()), estimate(pruned.tolist())
    assert difference.excludes_zero
    assert difference.high - difference.low < 0.2 * (alone.high - alone.low)
    with pytest.raises(DataError, match=r"2 scores against 1 of the reference: expected scores of the same samples"):
        paired([1.0, 2.0], [1.0])


def test_ratios_redraw_both_sides():
    full = np.random.default_rng(4).uniform(0.5, 1.0, 40)
    found = ratio((0.8 * full).tolist(), full.tolist())
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.8, 0.8))
    assert ratio([0.5, 0.5], [0.0, 0.0]) is None
    assert ratio([0.5, 0.5, 0.5], [0.0, 0.0, 1.0]) is None  # some draws have no reference


def test_seeds_decide_the_draw_and_nothing_else():
    values = np.random.default_rng(5).normal(0, 1, 30).tolist()
    assert estimate(values, seed=5) == estimate(values, seed=5)
    assert estimate(values, seed=5) != estimate(values, seed=6)


def test_one_value_and_equal_values():
    alone = estimate([0.3])
    assert (alone.value, alone.low, alone.high, alone.n) == (0.3, None, None, 1)
    assert not alone.excludes_zero
    one_video = estimate([0.0, 1.0, 1.0], clusters=["v", "v", "v"])
    assert one_video.low is None
    same = estimate([1.0] * 8)
    assert (same.low, same.high) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "expected at least one score"),
        ([0.1, float("nan")], "sample 1 is nan"),
        ([float("inf")], "sample 0 is inf"),
    ],
)
def test_what_is_no_score_is_refused(values, message):
    with pytest.raises(DataError, match=message):
        estimate(values)
