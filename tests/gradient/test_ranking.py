"""The ranking loss is what it says, and a scorer learns an order from traces alone."""

import math

import numpy as np
import pytest
import torch

from namm_xmodal import Namm
from namm_xmodal.gradient.ranking import RankingBatches, RankingSettings, rank, ranking_loss
from namm_xmodal.policies.namm import make_features
from namm_xmodal.traces.shards import Traces

FEATURES = make_features(["key_novelty", "relative_age"])
POLICY = Namm.untrained(features=FEATURES)


def loss_by_hand(scores, future, smallest, pairs):
    """Of the pairs (i, j) of one head, one by one."""
    slots = len(scores)
    order = sorted(range(slots), key=lambda token: -future[token])
    rank_of = {token: place for place, token in enumerate(order)}
    above = weight = 0.0
    for i, j in pairs:
        shares = [max(smallest, (rank_of[token] + 1) / slots) for token in (i, j)]
        part = abs(math.log(shares[0] / shares[1])) / math.log(1 / smallest)
        better, worse = (i, j) if rank_of[i] < rank_of[j] else (j, i)
        above += part * math.log1p(math.exp(-(scores[better] - scores[worse])))
        weight += part
    return above / weight


def test_the_loss_of_one_head_pair_by_pair():
    generator = torch.Generator().manual_seed(0)
    scores, future = (torch.randn(1, 40, generator=generator, dtype=torch.float64) for _ in range(2))
    settings = RankingSettings(across=0.0, smallest=1 / 8)
    found = ranking_loss(scores, future, settings, torch.Generator().manual_seed(3))
    other = torch.randperm(40, generator=torch.Generator().manual_seed(3)).tolist()
    wanted = loss_by_hand(
        scores[0].tolist(), future[0].tolist(), 1 / 8, [(i, j) for i, j in enumerate(other) if i != j]
    )
    assert float(found) == pytest.approx(wanted)


def test_sizes_are_weighed_alike_by_octave():
    """The share of sizes, drawn evenly by octave, at which exactly one token of a pair is kept."""
    rng = np.random.default_rng(0)
    sizes = 2.0 ** -rng.uniform(0, 5, 400_000)  # 1/32 to 1
    first, second, slots = 3, 19, 64
    parted = np.mean((sizes * slots > first + 1) != (sizes * slots > second + 1))
    wanted = abs(math.log((first + 1) / (second + 1))) / math.log(32)
    assert parted == pytest.approx(wanted, abs=0.005)


def test_pairs_across_heads_compare_attention_wherever_it_is():
    future = torch.stack([torch.linspace(0.5, 0.9, 32), torch.linspace(0.0, 0.1, 32)])
    ordered = future.argsort(-1).argsort(-1).float() / 8
    lifted = ordered + torch.tensor([[3.0], [-3.0]])
    apart = RankingSettings(across=1.0)
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    assert ranking_loss(lifted, future, apart, generators[0]) < ranking_loss(ordered, future, apart, generators[1])


def made_up(heads=24, slots=48, seed=0):
    """Later attention that one number of each token decides."""
    generator = torch.Generator().manual_seed(seed)
    constants = torch.randn(heads, FEATURES.num_constants, slots, generator=generator)
    future = (constants[:, 8] * 2).exp() / 100
    return Traces(slots, constants, future, torch.zeros(heads, dtype=torch.int64))


def test_a_scorer_learns_the_order_and_does_so_again():
    batches = RankingBatches(POLICY, {"language": [made_up()]}, RankingSettings(steps=200, batch=8, rate=0.02))
    told = []
    found, losses = rank(batches, POLICY.parameters.shape[-1], lambda *words: told.append(words))
    again, _ = rank(batches, POLICY.parameters.shape[-1])
    assert np.array_equal(found, again)
    assert [step for step, _ in told] == [100, 200]
    assert losses[-1] < 0.5 * math.log(2)
    new = made_up(seed=5)
    vector = torch.tensor(found, dtype=torch.float32)[None]
    scores = POLICY.score_constants(new.constants[None], torch.ones(1, 24, 48, dtype=torch.bool), vector)[0]
    ranks = [each.argsort(-1).argsort(-1).double() for each in (scores, new.future)]
    agreement = torch.corrcoef(torch.stack([ranks[0].flatten(), ranks[1].flatten()]))[0, 1]
    assert agreement > 0.95


def test_every_source_has_its_turn_and_the_gradient_its_length():
    good, other = made_up(), made_up(seed=1)
    flipped = Traces(other.seen, other.constants, 1 / other.future, other.layers)
    count = POLICY.parameters.shape[-1]
    point = np.random.default_rng(0).normal(0, 0.1, count)
    alone, opposite, both = (
        RankingBatches(POLICY, sources, RankingSettings(batch=24, across=0.0)).gradient(point, 7, 0.5)
        for sources in ({"a": [good]}, {"b": [flipped]}, {"a": [good], "b": [flipped]})
    )
    for each in (alone, opposite, both):
        assert np.linalg.norm(each) == pytest.approx(0.5)
    assert alone @ opposite < 0
