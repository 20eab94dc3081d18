"""Fitness: what a generation's shards add up to, what a kept token costs, and what is said when it goes wrong."""

import numpy as np
import pytest

from namm_xmodal.errors import ConfigError, ContractError, DataError
from namm_xmodal.evolution.fitness import aggregate
from namm_xmodal.evolution.objective import Shard, ShardResult
from namm_xmodal.evolution.size_pressure import SizePressure
from namm_xmodal.evolution.watch import Watch


def result(scores, base, kept=0.5):
    scores = np.array(scores, dtype=float)
    return ShardResult(scores, np.array(base, dtype=float), np.full(scores.shape, kept))


def test_fitness_is_relative_to_the_base_model_task_by_task():
    shards = [Shard("a", (0, 1)), Shard("b", (0, 1)), Shard("a", (2,))]
    results = [
        result([[1, 1], [0, 2]], [1, 1], kept=0.4),
        result([[10, 30], [20, 20]], [20, 20], kept=0.8),
        result([[4], [1]], [4], kept=1.0),
    ]
    fitness = aggregate(shards, results, weight=0.1)
    assert fitness.tasks["a"] == pytest.approx([6 / 6, 3 / 6])
    assert fitness.tasks["b"] == pytest.approx([1.0, 1.0])
    assert fitness.kept == pytest.approx([(0.6 + 0.8) / 2] * 2)
    assert fitness.values == pytest.approx([1 - 0.07, 0.75 - 0.07])
    assert fitness.score == pytest.approx(0.875)


def test_models_count_as_tasks_of_their_own():
    shards = [Shard("a", (0,), "small"), Shard("a", (0,), "large")]
    fitness = aggregate(shards, [result([[1], [2]], [1]), result([[1], [1]], [2])], weight=0)
    assert list(fitness.tasks) == ["small/a", "large/a"]
    assert fitness.values == pytest.approx([0.75, 1.25])


def test_members_that_fail_are_named():
    fitness = aggregate([Shard("a", (0, 1))], [result([[1, np.nan], [1, 1], [np.inf, 1]], [1, 1])], weight=0)
    assert fitness.failed == [0, 2]
    assert fitness.score == pytest.approx(1.0)


def test_agreement_of_halves():
    same = [[1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]]
    against = [[1, 3, 1, 3], [2, 2, 2, 2], [3, 1, 3, 1]]
    shards = [Shard("a", (0, 1, 2, 3))]
    assert aggregate(shards, [result(same, [1] * 4)], 0).agreement == pytest.approx(1)
    assert aggregate(shards, [result(against, [1] * 4)], 0).agreement == pytest.approx(-1)
    assert aggregate([Shard("a", (0,))], [result([[1], [2], [3]], [1])], 0).agreement is None


def test_base_score_of_zero():
    shards = [Shard("easy", (0, 1)), Shard("hopeless", (0, 1))]
    results = [result([[1, 1], [1, 1]], [1, 1]), result([[0, 0], [0, 0]], [0, 0])]
    with pytest.raises(DataError, match="task hopeless: the base model scores 0 on all 2 samples"):
        aggregate(shards, results, 0.1, generation=0)
    later = aggregate(shards, results, 0.1, generation=5)
    assert later.skipped == ("hopeless",)
    assert list(later.tasks) == ["easy"]
    with pytest.raises(DataError, match="scores 0 on every task of generation 5"):
        aggregate(shards[1:], results[1:], 0.1, generation=5)
    with pytest.raises(DataError, match="mean score is -1, expected a positive one"):
        aggregate(shards[1:], [result([[0, 0]], [-1, -1])], 0.1, generation=5)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (ShardResult(np.ones((2, 2)), np.ones(3), np.ones((2, 3))), r"scores has shape \(2, 2\), expected \(2, 3\)"),
        (ShardResult(np.ones((2, 3)), np.full(3, np.nan), np.ones((2, 3))), "base score is not finite"),
        (ShardResult(np.ones((2, 3)), np.ones(3), np.full((2, 3), 1.5)), "kept fraction is outside 0 to 1"),
    ],
)
def test_results_are_checked(bad, message):
    with pytest.raises(ContractError, match=f"large/a: .*{message}"):
        bad.check(2, Shard("a", (0, 1, 2), "large"))


def test_memory_order_does_not_change_bits():
    rng = np.random.default_rng(0)
    scores, kept = rng.random((8, 37)), rng.random((8, 37))
    shard = Shard("a", tuple(range(37)))
    plain = ShardResult(scores, np.ones(37), kept).check(8, shard)
    turned = ShardResult(np.asfortranarray(scores), np.ones(37), np.asfortranarray(kept)).check(8, shard)
    assert np.array_equal(aggregate([shard], [plain], 0.3).values, aggregate([shard], [turned], 0.3).values)


def test_constant_and_ramp():
    constant = SizePressure(weight=0.3)
    assert constant.first == constant.after(7, 0.3, 0.0) == 0.3
    ramp = SizePressure("ramp", weight=0.5, start=0.1, generations=4)
    weights = [ramp.first, *(ramp.after(g, 0.0, 0.0) for g in range(6))]
    assert weights == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5])


def test_constrained_rises_while_the_score_holds_and_falls_faster():
    pressure = SizePressure("constrained", weight=0.5, start=0.1, floor=0.9, step=0.05)
    weight = pressure.first
    seen = []
    for score in [1.0, 0.95, 0.9, 0.89, *[1.0] * 20]:
        weight = pressure.after(0, weight, score)
        seen.append(weight)
    assert seen[:4] == pytest.approx([0.15, 0.2, 0.25, 0.1])
    assert seen[-1] == 0.5
    assert pressure.after(0, 0.2, float("nan")) == 0.1  # a score that is not a number does not hold


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "magic"}, "expected constant, ramp or constrained"),
        ({"weight": -1}, "weight=-1: expected 0 or more"),
        ({"schedule": "ramp", "start": 0.9}, "start=0.9: expected between 0 and weight=0.3"),
        ({"generations": 0}, "generations=0"),
        ({"step": 0}, "step=0"),
    ],
)
def test_pressure_refuses_bad_input(fields, message):
    with pytest.raises(ConfigError, match=message):
        SizePressure(**fields)


def test_collapse_is_said_once_and_again_after_a_recovery():
    watch = Watch()
    said = [watch.look(0.02, 0.1, None, 1.0) for _ in range(5)]
    assert [len(lines) for lines in said] == [0, 0, 1, 0, 0]
    assert "keeps 10% of the cache and scores 0.02" in said[2][0]
    assert "size weight 1" in said[2][0]
    assert watch.collapsed
    assert watch.look(0.9, 0.1, None, 1.0) == []  # small and good is what we want
    assert not watch.collapsed
    assert sum(len(watch.look(0.02, 0.1, None, 1.0)) for _ in range(3)) == 1


def test_noise_is_said_once():
    watch = Watch()
    said = [watch.look(1.0, 0.5, agreement, 0.1) for agreement in [0.0, 0.1, None, 0.1, 0.0, 0.1, 0.0, 0.0]]
    assert [len(lines) for lines in said] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert "rank correlation of only 0.06" in said[5][0]
    assert all(not watch.look(1.0, 0.5, 0.9, 0.1) for _ in range(5))
