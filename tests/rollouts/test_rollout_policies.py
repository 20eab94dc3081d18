"""Whole steps, windows, statistics by layer: what the rollout's wrappers keep, read off a Decision Transformer's cache."""

import pytest
import torch
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from namm_xmodal import Namm, RandomEviction, Recency, pruned
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.by_layer import ByLayer
from namm_xmodal.policies.namm.statistics import FeatureStatistics, StatisticsEstimator
from namm_xmodal.policies.whole_steps import WholeSteps
from namm_xmodal.policies.within import Within


@pytest.fixture(scope="module")
def model():
    config = DecisionTransformerConfig(state_dim=3, act_dim=2, hidden_size=32, n_layer=2, n_head=2, max_ep_len=100)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = DecisionTransformerModel(config).double().eval()
        for name, weight in made.named_parameters():
            if "attn" in name and weight.ndim == 2:
                weight.data *= 12
    return made


def tokens(count, batch=2):
    return torch.randn(batch, count, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def held(model, policy, count=96, every=48, recent=3):
    """Original indices in memory, [layer][row][head], after `count` tokens in turns of three."""
    with torch.no_grad(), pruned(model, policy, update_every=every, protect_recent=recent) as memory:
        cache = memory.cache()
        for turn in tokens(count).split(3, dim=1):
            memory.adapter.forward(model, {"inputs_embeds": turn}, cache)
        return [[[h[h >= 0].tolist() for h in row] for row in layer.index] for layer in cache.layers]


def every_head(found):
    return [head for layer in found for row in layer for head in row]


@pytest.mark.parametrize(
    "base",
    [
        RandomEviction(budget=20, seed=1),
        Namm.untrained("random", sigma=0.5, seed=1, threshold=-torch.inf, max_tokens=20),
    ],
    ids=["random", "namm"],
)
def test_whole_steps_go_or_stay_together_in_a_rollout(model, base):
    heads = every_head(held(model, WholeSteps(base)))
    alone = every_head(held(model, base))
    for head in heads:
        steps = {index // 3 for index in head}
        assert sorted(head) == sorted(3 * step + part for step in steps for part in range(3))
    assert any(len(head) % 3 or {i // 3 for i in head if i % 3 == 0} != {i // 3 for i in head} for head in alone)
    assert all(len(head) == 18 for head in heads)  # 20 tokens hold six whole steps


def test_a_whole_step_scores_the_mean_of_its_tokens(model):
    class Sawtooth(Recency):
        def score(self, observation):
            step = observation.positions // 3
            return torch.where(observation.positions % 3 == 0, 100.0, 0.0) - (step - 8).abs() * 30.0

    for head in every_head(held(model, WholeSteps(Sawtooth(budget=9)), count=48)):
        assert {index // 3 for index in head} == {7, 8, 15} or {index // 3 for index in head} == {8, 9, 15}


def test_a_window_around_a_policy_of_a_rollout(model):
    for head in every_head(held(model, Within(Namm.untrained("zeros"), 30), every=16)):
        assert head == list(range(96 - 30, 96))
    for head in every_head(held(model, Within(RandomEviction(budget=12, seed=0), 30), every=48)):
        assert len(head) <= 12 and min(head) >= 96 - 30 and max(head) == 95


@pytest.mark.parametrize(
    "wrapped", [WholeSteps(RandomEviction(budget=15, seed=2)), Within(Recency(budget=40), 24)], ids=str
)
def test_wrapped_policies_of_a_rollout_equal_the_oracle(model, wrapped):
    embedded = tokens(90)
    with torch.no_grad():
        with pruned(model, wrapped, update_every=16, protect_recent=3, attention="sdpa") as memory:
            cache = recording(memory.cache())
            turns = [memory.adapter.forward(model, {"inputs_embeds": t}, cache) for t in embedded.split(3, dim=1)]
            seen = visibility_of(cache)
        with masked_attention(model, seen):
            expected = model.encoder(
                inputs_embeds=embedded,
                position_ids=torch.zeros(2, 90, dtype=torch.long),
                attention_mask=torch.ones(2, 90, dtype=torch.long),
                use_cache=False,
            ).last_hidden_state
    assert (torch.cat(turns, 1) - expected).abs().max() < 1e-12


def test_each_layer_of_a_rollout_has_its_own_statistics(model):
    zero = Namm.untrained("random", sigma=0.5, seed=1)
    shifted = zero.with_statistics(FeatureStatistics(torch.full((17,), 0.2), torch.full((17,), 0.01), "shifted"))
    plain, moved = held(model, zero), held(model, shifted)
    mixed = held(model, ByLayer(zero, (shifted,)))
    assert mixed[0] == plain[0]
    assert mixed[1] != plain[1] and plain[0] != moved[0]
    with pytest.raises(ConfigError, match="3 policies by layer, but this model has 2 layers"):
        held(model, ByLayer(zero, (zero, zero)))


def test_merged_statistics_are_those_of_everything():
    values = torch.randn(2, 1, 4, 30, generator=torch.Generator().manual_seed(0))
    live = torch.ones(2, 1, 30, dtype=torch.bool)
    whole, first, second = (StatisticsEstimator(4) for _ in range(3))
    whole.add(values, live)
    first.add(values[:1], live[:1])
    second.add(values[1:], live[1:])
    first.merge(second)
    assert torch.allclose(first.result("x").mean, whole.result("x").mean)
    assert torch.allclose(first.result("x").std, whole.result("x").std)
    assert first.count == 60
