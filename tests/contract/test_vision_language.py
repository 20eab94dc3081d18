"""The generic vision-language adapter on models that are given pictures or a video: switched, exact, generating."""

import pytest
import torch
from tiny_classes import tiny_class

from namm_xmodal import KeyDiff, check_adapter, pruned
from namm_xmodal.adapters.vision_language import VisionLanguageAdapter

IMAGE, VIDEO = 90, 91
SHOWN = {
    "LlavaForConditionalGeneration": "image",
    "LlavaOnevisionForConditionalGeneration": "frames",
    "InternVLForConditionalGeneration": "image",
    "SmolVLMForConditionalGeneration": "tiles",
    "Gemma3ForConditionalGeneration": "image",
    "Mistral3ForConditionalGeneration": "sized image",
    "Qwen2_5_VLForConditionalGeneration": "video",
    "Qwen3VLForConditionalGeneration": "video",
}


def prompt(model, shown):
    """Two rows of text with a picture in the middle; a video of two frames in grids of 2 x 4 for Qwen."""
    generator = torch.Generator().manual_seed(1)
    ids, vision = torch.randint(3, 80, (2, 64), generator=generator), model.config.vision_config
    if shown == "video":
        patch = 3 * vision.temporal_patch_size * vision.patch_size**2
        ids[:, 6:14] = ids[:, 15:23] = VIDEO
        pixels = torch.randn(2 * 2 * 32, patch, generator=generator)
        more = {"pixel_values_videos": pixels, "video_grid_thw": torch.tensor([[2, 4, 8]] * 2)}
        if type(model).__name__.startswith("Qwen2"):
            ids[:, 14:22], ids[:, 22] = VIDEO, 5
        return {"input_ids": ids, "mm_token_type_ids": (ids == VIDEO).int() * 2, **more}
    side = vision.image_size if isinstance(vision.image_size, int) else vision.image_size[0]
    if shown == "frames":
        more = {"pixel_values_videos": torch.randn(2, 2, 3, side, side, generator=generator)}
        with torch.no_grad():
            count = model.model.get_video_features(**more).pooler_output.shape[1]
        ids[:, 6 : 6 + count] = VIDEO
        return {"input_ids": ids, **more}
    shape = (2, 1, 3, side, side) if shown == "tiles" else (2, 3, side, side)
    more = {"pixel_values": torch.randn(shape, generator=generator)}
    if shown == "sized image":
        more["image_sizes"] = torch.tensor([[side, side]] * 2)
    with torch.no_grad():
        features = model.model.get_image_features(**more).pooler_output
    count = sum(each.flatten(0, -2).shape[0] for each in features) // 2
    ids[:, 6 : 6 + count] = IMAGE
    if "Gemma3" in type(model).__name__:
        more["token_type_ids"] = (ids == IMAGE).int()
    return {"input_ids": ids, **more}


@pytest.mark.parametrize("name", SHOWN)
def test_pictures_and_videos_are_pruned_exactly(name):
    model = tiny_class(name)
    check_adapter(VisionLanguageAdapter(), model, prompt(model, SHOWN[name]))


@pytest.mark.parametrize("name", SHOWN)
def test_the_language_model_alone_is_switched_and_generates(name):
    model = tiny_class(name)
    inputs, options = prompt(model, SHOWN[name]), {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    before = model.config.vision_config._attn_implementation
    stock = model.generate(**inputs, **options)
    with pruned(model, None) as memory:
        assert memory.adapter.name == "vision_language"
        assert model.config.vision_config._attn_implementation == before
        assert torch.equal(memory.generate(**inputs, **options), stock)
    with pruned(model, KeyDiff(budget=16), update_every=16) as memory:
        memory.generate(**inputs, **options)
        assert memory.report().kept_fraction < 0.6


def test_kinds_of_tokens():
    model = tiny_class("Qwen3VLForConditionalGeneration")
    kinds = VisionLanguageAdapter().token_kinds(model, prompt(model, "video"))
    assert kinds[0] == kinds[1]
    assert kinds[0][5:8] == ["text", "frame 0 row 0 column 0", "frame 0 row 0 column 1"]
    assert kinds[0][22:24] == ["frame 1 row 1 column 3", "text"]
    assert kinds[0].count("text") == 64 - 16
    inputs = {"input_ids": torch.tensor([[0, 5, IMAGE, VIDEO]]), "attention_mask": torch.tensor([[0, 1, 1, 1]])}
    assert VisionLanguageAdapter().token_kinds(model, inputs) == [["padding", "text", "image", "video"]]
