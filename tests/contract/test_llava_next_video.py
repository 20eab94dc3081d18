"""`check_adapter` holds for LLaVA-NeXT-Video; forgetting is exact inside a multimodal prefill of any chunking."""

import pytest
import torch
from transformers import DynamicCache
from video_models import VIDEO, tiny_llava, video_prompt

from namm_xmodal import AdaKV, Namm, RandomEviction, SnapKV, check_adapter, pruned
from namm_xmodal.adapters.llava_next_video import LlavaNextVideoAdapter, Place, token_places
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.cache.oracle import ORACLE_NAME, masked_attention, recording, visibility_of
from namm_xmodal.errors import UnsupportedModelError

TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rows", [1, 2])
def test_the_adapter_holds(dtype, rows):
    model = tiny_llava(dtype)
    check_adapter(LlavaNextVideoAdapter(), model, video_prompt(model, rows=rows))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@pytest.mark.parametrize(
    "policy",
    [
        AdaKV(base=RandomEviction(seed=3), budget=0.4),
        SnapKV(budget=12, window=4),
        Namm.untrained("random", sigma=0.5, seed=1, max_tokens=14),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_forgetting_equals_the_oracle(policy, kv_heads, dtype):
    model = tiny_llava(dtype, kv_heads=kv_heads)
    inputs, adapter = video_prompt(model, frames=8), LlavaNextVideoAdapter()
    before = adapter.current_implementation(model)
    with pruned(model, policy, update_every=16) as memory:
        cache = recording(memory.cache())
        output = adapter.forward(model, inputs, cache)
    assert not any(layer.untouched for layer in cache.layers)
    switch = adapter.attention_implementation(model, ORACLE_NAME)
    with masked_attention(model, visibility_of(cache), switch=switch, restore=before):
        expected = adapter.forward(model, inputs, DynamicCache())
    assert (output - expected).abs().max() <= TOLERANCE[dtype] * expected.abs().max()


@pytest.mark.parametrize("chunk", [1, 7, 16, 33])
def test_chunks_of_any_size_evict_the_same_inside_the_prefill(chunk):
    model = tiny_llava(torch.float64)
    inputs = video_prompt(model, frames=8)
    ids = inputs["input_ids"]
    features = model.model.get_video_features(inputs["pixel_values_videos"], return_dict=True).pooler_output
    embeddings = model.get_input_embeddings()(ids)
    embeddings[ids == VIDEO] = torch.cat(list(features))
    with pruned(model, AdaKV(base=RandomEviction(), budget=0.5), update_every=16) as memory:
        whole = memory.adapter.forward(model, inputs, memory.cache())
        kept = memory.report().live
        cache, parts = memory.cache(), []
        for part in embeddings.split(chunk, dim=1):
            parts.append(memory.adapter.forward(model, {"inputs_embeds": part}, cache))
        assert memory.report().live == kept
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-10)


def test_only_the_language_model_is_switched():
    model = tiny_llava()
    with pruned(model, None):
        assert model.config.text_config._attn_implementation == "namm_xmodal_pruned"
        assert model.config.vision_config._attn_implementation == "sdpa"
    assert model.config.text_config._attn_implementation == "sdpa"


def test_generation_with_a_pruned_cache_counts_positions_on():
    model = tiny_llava()
    inputs = video_prompt(model)
    stock = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    with pruned(model, None) as memory:
        assert torch.equal(memory.generate(**inputs, max_new_tokens=5, do_sample=False), stock)
    with pruned(model, RandomEviction(budget=0.5), update_every=8) as memory:
        memory.generate(**inputs, max_new_tokens=5, do_sample=False, min_new_tokens=5)
        assert memory.last_cache.get_seq_length() == inputs["input_ids"].shape[1] + 4


def test_every_position_knows_what_it_shows():
    model = tiny_llava()
    inputs = video_prompt(model, frames=3)
    kinds = LlavaNextVideoAdapter().token_kinds(model, inputs)[0]
    assert kinds[:3] == ["text"] * 3
    assert kinds[3] == "frame 0 row 0 column 0"
    assert kinds[3 + 4 + 2] == "frame 1 row 1 column 0"
    places = token_places(model, inputs["input_ids"][0].tolist())
    assert places[3 + 11] == Place(2, 1, 1)
    assert places[-1] is None


def test_places_are_those_that_a_changed_frame_changes():
    """The map of slots to frames, rows and columns is what the model itself does."""
    model = tiny_llava()
    pixels = video_prompt(model, frames=4)["pixel_values_videos"]
    changed = pixels.clone()
    changed[:, 2] += 1
    one, two = (torch.cat(list(model.model.get_video_features(p).pooler_output)) for p in (pixels, changed))
    assert (one != two).any(-1).nonzero()[:, 0].tolist() == [8, 9, 10, 11]


def test_an_odd_patch_grid_is_refused_in_words():
    model = tiny_llava(image_size=28, patch_size=4)  # 7 x 7 patches
    with pytest.raises(UnsupportedModelError, match="pictures of 28 pixels in patches of 4: expected a patch grid"):
        find_adapter(model)
