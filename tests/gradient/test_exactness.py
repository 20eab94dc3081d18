"""Straight-through attention is the pruned engine's in float64: families, windows, chunks of updates, modalities."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as hf
from families import VOCABULARY, tiny
from tiny_classes import tiny_class
from video_models import tiny_llava

from namm_xmodal import Namm, pruned
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.errors import UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.attention import _weights
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.policies.namm import FeatureStatistics, ThresholdSchedule, make_features

LENGTH = 103
FEATURES = {
    "spectrogram": "spectrogram",
    "many": ["key_novelty", "relative_age", {"channel": "recent_attention", "rows": 8}, "mean_attention"],
}


@pytest.fixture(autouse=True)
def _gradients():
    with torch.enable_grad():
        yield


def policy_of(features, seed=5):
    made = make_features(FEATURES[features])
    statistics = FeatureStatistics(torch.full((made.num_frozen,), 0.01), torch.full((made.num_frozen,), 0.02))
    return Namm.untrained("random", sigma=0.3, seed=seed, statistics=statistics, features=made)


def decision_transformer(heads=4):
    config = hf.DecisionTransformerConfig(
        state_dim=5,
        act_dim=2,
        hidden_size=32,
        n_layer=3,
        n_head=heads,
        max_ep_len=60,
        scale_attn_by_inverse_layer_idx=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = hf.DecisionTransformerModel(config).double().eval()
    for name, parameter in model.named_parameters():
        if "c_attn" in name:
            parameter.data.mul_(6.0)
    return model


def given(model):
    """What a model reads, as its adapter takes it."""
    generator = torch.Generator().manual_seed(1)
    if isinstance(model, hf.DecisionTransformerModel):
        return {"inputs_embeds": torch.randn(1, LENGTH, 32, generator=generator, dtype=torch.float64)}
    if isinstance(model, hf.LlavaNextVideoForConditionalGeneration):
        embedded = torch.randn(1, LENGTH, 32, generator=generator, dtype=torch.float64)
        places = torch.arange(LENGTH)[None]
        return {"inputs_embeds": embedded, "position_ids": places + places // 40}  # frames that were left out
    return {"input_ids": torch.randint(3, VOCABULARY, (1, LENGTH), generator=generator)}


MODELS = {
    **{
        name: lambda name=name: tiny(name, torch.float64)
        for name in ("llama", "mistral", "qwen3", "gemma3", "gpt2", "opt")
    },
    "llava": lambda: tiny_llava(torch.float64),
    "llava, one kv head": lambda: tiny_llava(torch.float64, kv_heads=1),
    "decision transformer": decision_transformer,
}


def aims(every):
    """What gradients aim at, beside the knobs of a policy that does the same."""
    schedule = ThresholdSchedule((every, 96), (0.15, -0.1))
    return {
        "above a threshold": (Aim(schedule, 0.3), {"schedule": schedule}),
        "the best of every head": (
            Aim(ThresholdSchedule(), 0.3, per_head=True),
            {"threshold": -math.inf, "max_tokens": 0.3},
        ),
    }


@pytest.mark.parametrize("kept_are", aims(16))
@pytest.mark.parametrize("features", FEATURES)
@pytest.mark.parametrize("every", [16, 48])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_sizes_are_the_pruned_caches(name, every, features, kept_are):
    model = MODELS[name]()
    inputs, adapter, policy = given(model), find_adapter(model), policy_of(features)
    aim, knobs = aims(every)[kept_are]
    settings = PruningSettings(every, 2, 3)
    seen = []

    def loss(result):
        seen.append(result.detach())
        return result.square().mean()

    found = sample_gradient(Lesson(model, adapter, inputs, loss, settings), policy.parameters[0].numpy(), policy, aim)
    with (
        torch.no_grad(),
        pruned(model, replace(policy, **knobs), update_every=every, protect_first=2, protect_recent=3) as memory,
    ):
        wanted = memory.adapter.forward(model, inputs, memory.cache())
        kept = memory.report().kept_fraction
        memory.adapter.forward(model, {k: v[:, :96] for k, v in inputs.items()}, cache := memory.cache())
    assert (seen[0] - wanted).abs().max() < 1e-10 * wanted.abs().max()
    sizes = np.mean([layer.kept.double().mean() / 96 for layer in cache.layers])  # right after the last update
    assert found.kept == pytest.approx(sizes, abs=1e-12)
    assert 0.03 < kept < 0.97
    assert np.isfinite(found.gradient).all()
    assert np.abs(found.gradient).max() > 0


def test_thresholds_of_windows_leave_what_was_asked_for():
    """All layers pooled, protected tokens that left a window not counted: one update, so that nothing comes before it."""
    model, policy = tiny("gemma3", torch.float64), policy_of("many")
    lesson = Lesson(
        model, find_adapter(model), given(model), lambda out: out.square().mean(), PruningSettings(64, 4, 3)
    )
    first = sample_gradient(lesson, policy.parameters[0].numpy(), policy, Aim(ThresholdSchedule(), 0.25))
    second = sample_gradient(
        lesson, policy.parameters[0].numpy(), policy, Aim(ThresholdSchedule.of(first.thresholds), 0.25)
    )
    assert second.kept == pytest.approx(0.25, abs=1 / 64)


def test_the_gradient_of_gates_in_a_window():
    torch.manual_seed(0)
    query, key = torch.randn(1, 2, 2, 5, 4, dtype=torch.float64), torch.randn(1, 2, 12, 4, dtype=torch.float64)
    live = torch.ones(1, 2, 12, dtype=torch.bool)
    seen = torch.ones(5, 12, dtype=torch.bool).tril(7).triu(3)[None, None]  # a window of five
    gate = torch.rand(1, 2, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: _weights(query, key, g, live, seen), (gate,))
    weights = _weights(query, key, gate, live, seen)
    assert (weights.detach()[..., ~seen[0, 0]] == 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(()).double())


def capped():
    shape = dict(vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    return hf.Gemma2ForCausalLM(hf.Gemma2Config(**shape, head_dim=8, intermediate_size=48)).eval()


def test_models_that_gradients_do_not_cover_are_one_line():
    policy = policy_of("spectrogram")

    def take(model, inputs):
        lesson = Lesson(model, find_adapter(model), inputs, lambda out: out.square().mean(), PruningSettings(16))
        return sample_gradient(lesson, policy.parameters[0].numpy(), policy, Aim(ThresholdSchedule(), 0.3))

    ids = torch.randint(3, 90, (1, 40))
    with pytest.raises(UnsupportedModelError, match="Gemma2Attention passes softcap, which gradients do not support"):
        take(capped(), {"input_ids": ids})
    padded = {"input_ids": ids, "attention_mask": torch.ones_like(ids).index_fill(1, torch.arange(3), 0)}
    with pytest.raises(UnsupportedOperationError, match="without padding"):
        take(tiny("llama"), padded)


@pytest.mark.parametrize("name", ["JambaForCausalLM", "Gemma4ForCausalLM"])
def test_models_in_which_not_every_layer_keeps_keys_are_refused_in_one_line(name):
    model = tiny_class(name)
    pruning = PruningSettings(16, 0, 1)
    lesson = Lesson(model, find_adapter(model), {"input_ids": torch.arange(60)[None] % 50 + 3}, torch.sum, pruning)
    policy = policy_of("many")
    with pytest.raises(
        UnsupportedModelError, match=rf"{name}.*of .* layers have keys and values, but gradients"
    ) as caught:
        sample_gradient(lesson, policy.parameters[0].numpy(), policy, Aim(ThresholdSchedule(), 0.3))
    assert "\n" not in str(caught.value)
