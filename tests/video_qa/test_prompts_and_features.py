"""What the model reads is what transformers' own processor and model make of the same video, encoded once."""

import numpy as np
import pytest
import torch
from transformers import DynamicCache
from video_models import tiny_llava

from namm_xmodal.errors import ConfigError, DataError, UnknownNameError, UnsupportedModelError
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.divprune import max_min_diverse
from namm_xmodal.video.dycoke import DyCoke, least_alike
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.reductions import REDUCTIONS
from namm_xmodal.video.rope import rope_factor, scaled_rope
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video, project
from namm_xmodal.video.visionzip import VisionZip, tower_attention, zip_frame
from namm_xmodal.video.visual_tokens import all_tokens

QUESTION = "what colour comes after red?"
FRAMES = 20  # more than go through the tower at once


@pytest.fixture(scope="module")
def frames():
    return make_clip(0, 0, FRAMES).video


@pytest.fixture(scope="module")
def video(loaded, frames):
    return encode_video(loaded, frames)


def test_prompt_and_features_are_those_of_transformers(loaded, frames, video):
    inputs = loaded.processor(text=[f"USER: <video>\n{QUESTION} ASSISTANT:"], videos=[frames], return_tensors="pt")
    own = loaded.model.model.get_video_features(inputs["pixel_values_videos"], return_dict=True).pooler_output
    assert torch.allclose(video.features.flatten(0, 1), torch.cat(list(own)), atol=1e-5)
    prompt = embed_prompt(loaded, Prompt((range(FRAMES), QUESTION), ("red", "blue")), all_tokens(video))
    assert prompt.length == inputs["input_ids"].shape[1]
    expected = loaded.model(**inputs).logits[0, -1]
    found = loaded.model(inputs_embeds=prompt.embeddings, position_ids=prompt.position_ids).logits[0, -1]
    assert torch.allclose(found, expected, atol=1e-4)
    slots = (inputs["input_ids"][0] == loaded.model.config.video_token_id).nonzero()[:, 0]
    assert prompt.visual.nonzero()[:, 0].tolist() == slots.tolist()
    assert prompt.places[slots[9 * 3 + 4]].tolist() == [3, 1, 1]
    assert prompt.candidates == tuple((loaded.tokenizer.convert_tokens_to_ids(word),) for word in ("red", "blue"))


def test_frames_and_text_may_alternate(loaded, video):
    parts = (range(2), "what is", range(2, FRAMES), "shown?")
    prompt = embed_prompt(loaded, Prompt(parts, ("A", "B")), all_tokens(video))
    assert prompt.places[prompt.visual][:, 0].tolist() == [frame for frame in range(FRAMES) for _ in range(9)]
    between = prompt.places[:, 0].tolist()
    first, second = between.index(1), between.index(2)
    assert between[first + 9 : second] == [-1, -1]
    assert prompt.position_ids[0].tolist() == list(range(prompt.length))


def test_the_answers_prefix_ends_the_prompt(loaded, video):
    plain = embed_prompt(loaded, Prompt((range(FRAMES), QUESTION), ("A",)), all_tokens(video))
    begun = embed_prompt(loaded, Prompt((range(FRAMES), QUESTION), ("A",), "Best Option: ("), all_tokens(video))
    assert begun.length > plain.length
    assert begun.candidates == plain.candidates


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_reductions_keep_the_share_they_are_asked_for(loaded, video, name, share):
    kept = REDUCTIONS[name]().reduce(loaded.model, video, share)
    full = FRAMES * 9
    assert kept.full == full
    assert kept.features.shape[0] == kept.places.shape[0]
    if name == "pooling_stride":  # 6 x 6 patches give 3 x 3, 2 x 2 or one cell
        assert kept.features.shape[0] == FRAMES * (4 if share == 0.5 else 1)
    else:
        assert kept.features.shape[0] == pytest.approx(share * full, abs=5)
    prompt = embed_prompt(loaded, Prompt((range(FRAMES), QUESTION), ("red",)), kept)
    assert int(prompt.visual.sum()) == kept.features.shape[0]
    steps = prompt.position_ids[0].diff()
    assert (steps > 0).all()
    if name in ("uniform_drop", "random_drop", "divprune", "dycoke", "visionzip"):
        assert prompt.next_position == full + prompt.length - kept.features.shape[0]  # positions of the whole video
        whole = all_tokens(video).features
        if name != "visionzip":  # which merges
            assert torch.equal(kept.features, whole[kept.positions])
    else:
        assert (steps == 1).all()


def test_fewer_frames_are_what_a_coarser_sampling_would_have_shown(loaded, frames, video):
    kept = REDUCTIONS["fewer_frames"]().reduce(loaded.model, video, 0.25)
    shown = sorted(set(kept.places[:, 0].tolist()))
    again = encode_video(loaded, frames[shown])
    assert torch.allclose(kept.features, again.features.flatten(0, 1), atol=1e-5)


def test_pooling_at_the_models_own_stride_is_the_models_own(loaded, video):
    own = project(loaded.model, video.patches, 2)
    spatial = video.patches.transpose(1, 2).unflatten(2, (6, 6))
    by_hand = torch.nn.functional.avg_pool2d(spatial, 2).flatten(2).transpose(1, 2)
    assert torch.allclose(own, loaded.model.model.multi_modal_projector(by_hand), atol=1e-6)
    with pytest.raises(ConfigError, match=r"stride=4: expected one of \[1, 2, 3, 6\]"):
        project(loaded.model, video.patches, 4)


def test_divprune_chooses_the_most_different_tokens():
    directions = torch.eye(4)
    near = directions[0].repeat(6, 1) + 0.01 * torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    crowd = torch.cat([near, directions[1:] * torch.tensor([[1.0], [9], [2]])])  # lengths do not count
    chosen = set(max_min_diverse(crowd, 4).tolist())
    assert {6, 7, 8} <= chosen
    assert len(chosen) == 4
    assert len(set(max_min_diverse(crowd, 9).tolist())) == 9


def test_dycoke_keeps_what_changed():
    """Four frames of three places: 1 against 0, 3 against 2, 2 against 0, at the share (4s - 1) / 3 of each."""
    still, moved = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    frames = still.repeat(4, 3, 1)
    frames[1, 2], frames[2, 1], frames[3, 0] = moved, moved, moved
    # Frame 2 differs from frame 0 at place 1; frame 3 from frame 2 at places 0 and 1, and its place 0 comes first.
    assert least_alike(frames, 6, 4).tolist() == [0, 1, 2, 3 + 2, 6 + 1, 9 + 0]
    assert least_alike(frames, 12, 4).tolist() == list(range(12))
    assert least_alike(frames, 2, 4).tolist() == [0, 1]
    # At a third of sixteen frames, four firsts stay whole; at a quarter they would be all, so windows are of eight.
    noise = torch.randn(16, 9, 5, generator=torch.Generator().manual_seed(0))
    kept = least_alike(noise, 48, 4)
    assert {frame for frame in range(16) if (kept // 9 == frame).sum() == 9} == {0, 4, 8, 12}
    kept = least_alike(noise, 36, 4)
    assert {frame for frame in range(16) if (kept // 9 == frame).sum() == 9} == {0, 8}
    assert len(kept.unique()) == 36
    similar = torch.nn.functional.cosine_similarity(noise[6], noise[4], dim=-1)
    own = kept[kept // 9 == 6] % 9
    assert set(own.tolist()) == set(similar.argsort()[: len(own)].tolist())
    for window in (3, 4.0, True, 0):
        with pytest.raises(ConfigError, match=f"window={window}: expected a power of two"):
            DyCoke(window=window)


def by_hand(received, keys, states, dominant, contextual):
    """VisionZip of one frame, token by token."""
    order = sorted(range(len(received)), key=lambda at: -received[at])
    first, others = sorted(order[:dominant]), sorted(order[dominant:])
    targets = others[:: max(1, len(others) // contextual)][:contextual]
    groups = {target: [states[target]] for target in targets}
    for other in others:
        if other not in targets:
            cosines = [
                keys[other] @ keys[target] / np.linalg.norm(keys[other]) / np.linalg.norm(keys[target])
                for target in targets
            ]
            groups[targets[int(np.argmax(cosines))]].append(states[other])
    tokens = {at: states[at] for at in first} | {target: np.mean(group, axis=0) for target, group in groups.items()}
    return sorted(tokens), np.stack([tokens[at] for at in sorted(tokens)])


@pytest.mark.parametrize(("dominant", "contextual"), [(3, 2), (1, 1), (5, 4), (2, 10), (4, 0)])
def test_visionzip_merges_what_nobody_looks_at(dominant, contextual):
    generator = torch.Generator().manual_seed(dominant)
    received, keys, states = (torch.randn(12, *size, generator=generator) for size in ((), (5,), (7,)))
    chosen, zipped = zip_frame(received, keys, states, dominant, contextual)
    if contextual:
        expected, features = by_hand(received.numpy(), keys.numpy(), states.numpy(), dominant, contextual)
    else:
        expected = sorted(received.argsort(descending=True)[:dominant].tolist())
        features = states.numpy()[expected]
    assert chosen.tolist() == expected
    np.testing.assert_allclose(zipped.numpy(), features, atol=1e-5)


@pytest.mark.parametrize("layer", [-1, -2, 1])
@pytest.mark.parametrize(("strategy", "asked"), [("default", "class"), ("default", "all"), ("full", "class")])
def test_visionzip_sees_the_attention_of_the_feature_layer(layer, strategy, asked):
    """Against the tower's own eager attention, and keys from its own hidden states."""
    model = tiny_llava()
    model.config.vision_feature_layer, model.config.vision_feature_select_strategy = layer, strategy
    pixels = torch.randn(FRAMES, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    received, keys = tower_attention(model, pixels, asked)
    tower = model.model.vision_tower
    tower.set_attn_implementation("eager")
    told = tower(pixels, output_attentions=True, output_hidden_states=True)
    place = layer if layer < 0 else layer - 1
    weights = told.attentions[place].sum(1).detach().numpy()  # (F, tokens, tokens)
    expected = (weights[:, 0] if (strategy, asked) == ("default", "class") else weights.mean(1))[
        :, strategy == "default" :
    ]
    np.testing.assert_allclose(received.detach().numpy(), expected, atol=1e-5)
    block = [each for each in tower.modules() if type(each).__name__ == "CLIPEncoderLayer"][place]
    before = told.hidden_states[place - 1 if place < 0 else place]  # what the layer reads
    own = block.self_attn.k_proj(block.layer_norm1(before)).unflatten(-1, (2, 8)).mean(-2)
    assert torch.allclose(keys, own[:, strategy == "default" :], atol=1e-5)


def test_visionzip_at_the_whole_size_changes_little_and_refuses_other_towers(loaded, video):
    whole = VisionZip(contextual=0).reduce(loaded.model, video, 1.0)
    assert torch.allclose(whole.features, all_tokens(video).features, atol=1e-5)
    assert whole.positions.tolist() == list(range(FRAMES * 9))
    few = VisionZip().reduce(loaded.model, video, 0.3)  # 54 tokens: 3 in the first fourteen frames, 2 in the others
    counts = (few.positions // 9).bincount(minlength=FRAMES).tolist()
    assert counts == [3] * 14 + [2] * 6
    for share in (1.0, -0.1, True, "a"):
        with pytest.raises(ConfigError, match="expected a share in"):
            VisionZip(contextual=share)
    with pytest.raises(ConfigError, match="asked='cls': expected class or all"):
        VisionZip(asked="cls")
    model = tiny_llava()
    model.model.vision_tower = torch.nn.Conv2d(3, 4, 2)
    with pytest.raises(UnsupportedModelError, match="VisionZip: a vision tower of type clip_vision_model gives no"):
        tower_attention(model, video.pixels)


def test_positions_are_scaled_only_where_the_context_is_too_short():
    class Published:
        class text_config:
            max_position_embeddings = 4096
            rope_parameters = None

    assert rope_factor(Published, 8 * 144, 60) == 1
    assert rope_factor(Published, 28 * 144, 60) == 1
    assert rope_factor(Published, 32 * 144, 60) == 2  # ceil((32 * 144 + 1000) / 4096)
    assert rope_factor(Published, 64 * 144, 60) == 3
    model = tiny_llava()
    ids = torch.arange(3, 40)[None]
    before = model(input_ids=ids).logits
    with scaled_rope(model, 2):
        scaled = model(input_ids=ids, past_key_values=DynamicCache()).logits
        halved = model(input_ids=ids, position_ids=torch.arange(37)[None]).logits
    assert torch.equal(scaled, halved)
    assert not torch.allclose(scaled, before)
    assert torch.equal(model(input_ids=ids).logits, before)
    model.config.text_config.rope_parameters["rope_type"] = "linear"
    model.config.text_config.rope_parameters["factor"] = 2.0
    assert rope_factor(model.config, 400, 50) == 1  # a context of 256, doubled


def test_the_half_positions_are_those_of_linear_scaling():
    """A model configured with transformers' own linear scaling by 2 gives the same logits."""
    model, other = tiny_llava(torch.float64), tiny_llava(torch.float64)
    config = other.config.text_config
    config.rope_parameters = {**config.rope_parameters, "rope_type": "linear", "factor": 2.0}
    other.model.language_model.rotary_emb = type(other.model.language_model.rotary_emb)(config)
    ids = torch.arange(3, 60)[None]
    with scaled_rope(model, 2):
        assert torch.allclose(model(input_ids=ids).logits, other(input_ids=ids).logits, atol=1e-6)


def test_models_that_are_none_are_refused_in_one_line(tmp_path):
    with pytest.raises(UnknownNameError, match=r"unknown video model 'llava-smal': did you mean llava-small"):
        load_video_model("llava-smal")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(
        UnsupportedModelError, match="is of type llama, which takes no videos; expected a vision-language model"
    ):
        load_video_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="cannot be loaded"):
        load_video_model(str(tmp_path))


def test_frames_of_another_size_are_resized_by_the_processor(loaded, frames):
    large = np.repeat(np.repeat(frames[:4], 3, 1), 3, 2)
    assert encode_video(loaded, large).features.shape == (4, 9, 128)
