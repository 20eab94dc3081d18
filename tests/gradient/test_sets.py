"""One vector for each layer or kv head: each learns from its own heads alone, and stands where the policy looks for it."""

from dataclasses import replace

import pytest
import torch

from namm_xmodal import Namm
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.gradient.ranking import RankingBatches, RankingSettings, rank, ranking_loss
from namm_xmodal.gradient.sets import Sets, sets_of
from namm_xmodal.policies.namm import make_features
from namm_xmodal.traces.shards import Traces
from namm_xmodal.types import LayerShape

FEATURES = make_features(["key_novelty", "relative_age"])
POLICY = Namm.untrained(features=FEATURES)
COUNT = POLICY.parameters.shape[-1]
LAYERS, HEADS = 2, 3


def made_up(slots=48, seed=0):
    """Later attention that one number of each token decides: the first kv head of a layer wants it large, others small."""
    generator = torch.Generator().manual_seed(seed)
    layers = torch.arange(LAYERS).repeat_interleave(HEADS)
    heads = torch.arange(HEADS).repeat(LAYERS)
    constants = torch.randn(len(heads), FEATURES.num_constants, slots, generator=generator)
    sign = torch.where(heads == 0, 2.0, -2.0)[:, None]
    future = (constants[:, 8] * sign).exp() / 100
    return Traces(slots, constants, future, layers, heads, torch.tensor([LAYERS, HEADS]))


def agreement(vectors, sets, traces):
    """Correlation of ranks, head by head."""
    own = torch.tensor(vectors, dtype=torch.float32)[sets.of(traces)]
    live = torch.ones(1, *traces.future.shape, dtype=torch.bool)
    scores = POLICY.score_constants(traces.constants[None], live, own[None])[0]
    ranks = [each.argsort(-1).argsort(-1).double() for each in (scores, traces.future)]
    return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(*ranks, strict=True)]


def test_heads_that_want_opposite_things_learn_them_side_by_side():
    settings = RankingSettings(steps=200, rate=0.02, across=0.0)
    learned = {}
    for sharing in ("model", "layer", "head"):
        batches = RankingBatches(POLICY, {"a": [made_up(seed=seed) for seed in range(4)]}, settings, sharing)
        vectors, losses = rank(batches, COUNT)
        assert vectors.shape == ({"model": 1, "layer": 2, "head": 6}[sharing], COUNT)
        learned[sharing] = agreement(vectors, batches.sets, made_up(seed=9))
        assert len(losses) == 2
    assert min(learned["head"]) > 0.9
    assert min(learned["model"]) < 0 and min(learned["layer"]) < 0


def test_the_gradient_of_a_vector_is_that_of_its_own_head():
    traces, settings = made_up(), RankingSettings(across=0.0)
    batches = RankingBatches(POLICY, {"a": [traces]}, settings, "head")
    start = torch.randn(6, COUNT, generator=torch.Generator().manual_seed(1)) * 0.1
    vectors = start.clone().requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(batches.loss(vectors, 3), vectors)
    generator = torch.Generator().manual_seed(3)  # as the batch of step 3 is drawn
    torch.randint(1, (1,), generator=generator)
    torch.randperm(6, generator=generator)
    for head in range(6):
        own = start[head].clone().requires_grad_()
        pairs = torch.Generator()
        pairs.set_state(generator.get_state())
        with torch.enable_grad():
            live = torch.ones(1, 1, 48, dtype=torch.bool)
            scores = POLICY.score_constants(traces.constants[None, head : head + 1], live, own[None, None])[0]
            loss = ranking_loss(scores, traces.future[head : head + 1], settings, pairs)
            (alone,) = torch.autograd.grad(loss, own)
        assert torch.cosine_similarity(found[head], alone, dim=0) > 1 - 1e-6
        assert float(found[head].norm() * 6 / alone.norm()) == pytest.approx(1, abs=0.3)  # weights of pairs are pooled


@pytest.mark.parametrize("sharing", ["layer", "head"])
def test_vectors_stand_where_the_policy_looks_for_them(sharing):
    sets = sets_of({"a": [made_up()]}, sharing)
    vectors = torch.randn(sets.count, COUNT)
    policy = replace(POLICY, parameters=vectors, sharing=sharing)
    for layer in range(LAYERS):
        shape = LayerShape(layer, LAYERS, HEADS, HEADS, 8)
        wanted = policy._parameters_of(shape, torch.device("cpu"))[0].expand(HEADS, -1)
        rows = sets.of(made_up())[layer * HEADS : (layer + 1) * HEADS]
        assert torch.equal(vectors[rows], wanted)


def test_what_traces_cannot_train_is_refused():
    whole = made_up()
    assert sets_of({"a": [replace(whole, heads=None, shape=None)]}, "model") == Sets()
    with pytest.raises(
        DataError, match=r"traces.a: recorded by an earlier version without head numbers; record them again"
    ):
        sets_of({"a": [replace(whole, heads=None, shape=None)]}, "layer")
    with pytest.raises(ConfigError, match=r"2 layers of 3 kv heads \(a\) and 4 layers of 3 kv heads \(b\); expected"):
        sets_of({"a": [whole], "b": [replace(whole, shape=torch.tensor([4, 3]))]}, "head")
    part = Traces(whole.seen, whole.constants[:5], whole.future[:5], whole.layers[:5], whole.heads[:5], whole.shape)
    with pytest.raises(DataError, match=r"sharing: head: layer 1, kv head 2, has no traces; record more heads"):
        sets_of({"a": [part]}, "head")
    assert sets_of({"a": [part]}, "layer").count == 2
