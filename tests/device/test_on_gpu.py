"""What is exact on a processor is exact on a GPU, where there is one: oracle, policies, gradients, agents and videos."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers as hf
from families import FAMILIES, VOCABULARY, padded_batch, tiny
from video_models import tiny_llava

from namm_xmodal import Namm, pruned
from namm_xmodal.adapters.check import check_adapter
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.policies.namm import ThresholdSchedule, make_features
from namm_xmodal.policies.namm.channels import CHANNELS
from namm_xmodal.policies.table import POLICIES

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICE = torch.device("cuda")


def on(device, inputs):
    return {name: value.to(device) for name, value in inputs.items()}


def all_channels():
    made = make_features(["spectrogram", "key_novelty", "nearest_key", "value_norm", "relative_age"])
    return Namm.untrained("random", sigma=0.3, seed=5, features=made, threshold=-1e9, max_tokens=0.4)


def policies():
    """Every policy that needs no other, at 40 percent."""
    around = ("namm", "adakv", "pyramidkv", "chunkkv", "criticalkv", "by_head")
    made = {
        name: kind() if name in ("full", "simlayerkv") else kind(budget=0.4)
        for name, kind in POLICIES.items()
        if name not in around
    }
    return {**made, "namm": all_channels()}


def schedule(name):
    """FastV chooses once, after the text; the others by the clock."""
    return {"schedule": "post_prefill"} if name == "fastv" else {"update_every": 32}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_adapter_holds(family, dtype):
    check_adapter(LanguageAdapter(), tiny(family, dtype).to(DEVICE), on(DEVICE, padded_batch(40, 5)))


@pytest.mark.parametrize("name", policies())
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_policies_are_the_oracles(family, name):
    model, inputs = tiny(family, torch.float64).to(DEVICE), on(DEVICE, padded_batch())
    with pruned(model, policies()[name], **schedule(name)) as memory:
        cache = recording(memory.cache())
        found = model(**inputs, past_key_values=cache).logits
        with masked_attention(model, visibility_of(cache)):
            wanted = model(**inputs, use_cache=False).logits
    real = inputs["attention_mask"].bool()
    assert (found - wanted)[real].abs().max() < 1e-9 * wanted[real].abs().max()


@pytest.mark.parametrize("name", policies())
def test_policies_keep_the_same_tokens_as_on_a_processor(name):
    kept = []
    for device in ("cpu", DEVICE):
        model, inputs = tiny("llama", torch.float64).to(device), on(device, padded_batch())
        with pruned(model, policies()[name], **schedule(name)) as memory:
            model(**inputs, past_key_values=(cache := memory.cache()))
            kept.append([layer.index.cpu().sort(-1).values for layer in cache.layers])
    if name == "random":  # each device has a generator of its own
        assert [each.shape for each in kept[0]] == [each.shape for each in kept[1]]
        return
    assert all(torch.equal(a, b) for a, b in zip(*kept, strict=True))


def test_text_is_generated_under_eviction():
    model, inputs = tiny("llama", torch.float64), padded_batch(rows=1)
    texts = []
    for device in ("cpu", DEVICE):
        moved = model.to(device)
        with pruned(moved, all_channels(), update_every=32) as memory:
            texts.append(
                moved.generate(**on(device, inputs), past_key_values=memory.cache(), max_new_tokens=40, do_sample=False)
            )
    assert torch.equal(texts[0], texts[1].cpu())


def decision_transformer():
    config = hf.DecisionTransformerConfig(
        state_dim=5, act_dim=2, hidden_size=32, n_layer=3, n_head=4, max_ep_len=60, scale_attn_by_inverse_layer_idx=True
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return hf.DecisionTransformerModel(config).double().eval()


MODELS = {
    "llama": lambda: (tiny("llama", torch.float64), {"input_ids": torch.randint(3, VOCABULARY, (1, 103))}),
    "gemma3": lambda: (tiny("gemma3", torch.float64), {"input_ids": torch.randint(3, VOCABULARY, (1, 103))}),
    "llava": lambda: (
        tiny_llava(torch.float64),
        {
            "inputs_embeds": torch.randn(1, 103, 32, dtype=torch.float64),
            "position_ids": torch.arange(103)[None],
        },
    ),
    "decision transformer": lambda: (
        decision_transformer(),
        {"inputs_embeds": torch.randn(1, 103, 32, dtype=torch.float64)},
    ),
}


@pytest.mark.with_gradients
@pytest.mark.parametrize("per_head", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_a_processor(name, per_head):
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    policy = replace(all_channels(), max_tokens=None, threshold=0.0)
    aim = Aim(ThresholdSchedule((16,), (0.1,)), 0.3, per_head=per_head)
    found = []
    for device in ("cpu", DEVICE):
        moved = model.to(device)
        lesson = Lesson(
            moved, find_adapter(moved), on(device, inputs), lambda out: out.square().mean(), PruningSettings(16, 2, 3)
        )
        found.append(sample_gradient(lesson, policy.parameters[0].numpy(), policy, aim))
    assert found[1].loss == pytest.approx(found[0].loss, rel=1e-6)
    assert found[1].kept == pytest.approx(found[0].kept, abs=1e-9)
    assert np.abs(found[1].gradient - found[0].gradient).max() <= 1e-3 * np.abs(found[0].gradient).max()


def test_every_channel_reads_a_gpu():
    made = make_features(list(CHANNELS))
    policy = Namm.untrained("random", sigma=0.3, features=made, threshold=-1e9, max_tokens=0.4)
    model, inputs = tiny("llama").to(DEVICE), on(DEVICE, padded_batch())
    with pruned(model, policy, update_every=32) as memory:
        model(**inputs, past_key_values=memory.cache())
        assert memory.report().kept_fraction < 0.9
