"""Towers of timm in LLaVA, low-rank additions, packed questions, and a model put together, trained, saved and loaded."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_folder import PARTS
from safetensors.torch import load_file
from transformers import TimmWrapperConfig

import namm_xmodal.video.models as models
from namm_xmodal.adapters.llava_next_video import LlavaNextVideoAdapter
from namm_xmodal.errors import DataError, UnknownNameError, UnsupportedModelError
from namm_xmodal.memory import pruned
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.training.llava_small.pixels import as_pixels
from namm_xmodal.training.llava_smollm2.features import class_directions, make_bank
from namm_xmodal.training.llava_smollm2.measure import option_scores
from namm_xmodal.training.llava_smollm2.naming_stage import NameSpace
from namm_xmodal.training.llava_smollm2.recipe import TINY, PartsRecipe
from namm_xmodal.training.llava_smollm2.train import train_parts
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.composed.clip import compose
from namm_xmodal.video.composed.questions import questions_about
from namm_xmodal.video.models import ASSEMBLED, list_video_models, load_video_model
from namm_xmodal.video.parts.assemble import assemble
from namm_xmodal.video.parts.low_rank import add_low_rank, merge_low_rank
from namm_xmodal.video.parts.parts import read_parts
from namm_xmodal.video.timm_tower import GridTower
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video
from namm_xmodal.video.visual_tokens import all_tokens

SHIPPED = Path(models.__file__).parent / "shipped"


@pytest.mark.parametrize(
    ("architecture", "arguments", "side", "cells", "channels"),
    [
        ("test_efficientnet", None, 64, 4, 256),  # maps (B, C, P, P)
        ("test_vit", {"img_size": 64}, 64, 16, 64),  # a class token and patches
    ],
)
def test_a_timm_tower_gives_patch_features_in_raster_order(architecture, arguments, side, cells, channels):
    torch.manual_seed(0)
    tower = GridTower(TimmWrapperConfig(architecture=architecture, model_args=arguments, do_pooling=False)).eval()
    pixels = torch.randn(2, 3, side, side)
    features = tower(pixels, output_hidden_states=True, return_dict=True).hidden_states[-1]
    assert features.shape == (2, cells, channels)
    own = tower.timm_model.forward_features(pixels)
    if own.dim() == 4:
        assert torch.equal(features[1, 1], own[1, :, 0, 1])  # the second cell of the first row
    else:
        assert torch.equal(features, own[:, 1:])


def test_the_assembled_model_reads_what_transformers_would(loaded, pictures):
    assert LlavaNextVideoAdapter().missing(loaded.model) is None
    frames = compose(1, 0, 5, "new", pictures).video()
    video = encode_video(loaded, frames)
    assert (video.side, video.grid) == (6, 3)
    text = "what is shown first: a or b?"
    inputs = loaded.processor(text=[f"USER: <video>\n{text} ASSISTANT:"], videos=[frames], return_tensors="pt")
    prompt = embed_prompt(loaded, Prompt((range(5), text), ("a", "b")), all_tokens(video))
    assert prompt.length == inputs["input_ids"].shape[1]
    found = loaded.model(inputs_embeds=prompt.embeddings, position_ids=prompt.position_ids).logits[0, -1]
    assert torch.allclose(found, loaded.model(**inputs).logits[0, -1], atol=1e-4)


def test_a_saved_model_with_a_timm_tower_loads_as_any_llava(loaded, pictures, tmp_path):
    loaded.model.save_pretrained(tmp_path)
    loaded.processor.save_pretrained(tmp_path)
    again = load_video_model(str(tmp_path), dtype="float32")
    frames = compose(1, 0, 5, "new", pictures).video()
    assert torch.equal(encode_video(again, frames).features, encode_video(loaded, frames).features)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"vision_feature_layer": -2}))
    with pytest.raises(UnsupportedModelError, match=r"a timm tower has one layer of features.*found -2"):
        load_video_model(str(tmp_path), dtype="float32")


def test_merged_additions_compute_what_they_did_in_training():
    tokens = torch.arange(1, 9)[None]
    language = assemble(PARTS)[0].model.language_model
    plain = assemble(PARTS)[0].model.language_model
    before = plain(input_ids=tokens).last_hidden_state
    additions = add_low_rank(language, rank=2, scale=2.0)
    assert len(additions) == 8  # four layers in each of two blocks
    assert torch.equal(language(input_ids=tokens).last_hidden_state, before)  # they start at zero
    with torch.no_grad():
        for parameter in additions.parameters():
            parameter.normal_()
    merge_low_rank(plain, additions.state_dict(), 2.0)
    wrapped = language(input_ids=tokens).last_hidden_state
    assert not torch.allclose(wrapped, before, atol=1e-2)
    assert torch.allclose(plain(input_ids=tokens).last_hidden_state, wrapped, atol=1e-4)
    assert [name for name, each in language.named_parameters() if each.requires_grad] == [
        f"{name.replace('/', '.')}.added.{part}" for name in additions for part in ("down", "up")
    ]


def test_packed_questions_are_scored_as_if_asked_alone(loaded, pictures):
    clip = compose(2, 0, 6, "new", pictures)
    asked = list(questions_about(clip))
    packed = option_scores(loaded.model, loaded.tokenizer, as_pixels(clip.video()), asked)
    visual = all_tokens(encode_video(loaded, clip.video()))
    for question, found in zip(asked, packed, strict=True):
        prompt = embed_prompt(loaded, Prompt((range(6), question.text), question.options), visual)
        with pruned(loaded.model, None) as memory:
            expected = answer(memory, prompt).scores("mean")
        assert found == pytest.approx(expected, abs=1e-4)


def test_class_directions_point_where_classes_lie():
    generator = torch.Generator().manual_seed(0)
    spread = torch.eye(12) + torch.randn(12, 12, generator=generator) / 8
    means = 2 * torch.randn(5, 12, generator=generator)
    features = torch.cat([mean + torch.randn(400, 12, generator=generator) @ spread for mean in means])
    shared = torch.cat(
        [features[400 * at : 400 * at + 400] - features[400 * at : 400 * at + 400].mean(0) for at in range(5)]
    )
    covariance = shared.T @ shared / len(shared) + 0.01 * torch.eye(12)
    weights = (means - means.mean(0)) @ torch.linalg.inv(covariance)  # the best linear classifier
    found = class_directions(shared, weights)
    cosine = torch.nn.functional.cosine_similarity(found, means - means.mean(0))
    assert cosine.min() > 0.9


def test_a_cut_off_training_ends_with_the_same_weights(run_folder, pictures, tmp_path):
    class Killed(Exception):
        pass

    def kill(done, total, what):
        if done == 3:
            raise Killed

    with torch.enable_grad():
        with pytest.raises(Killed):
            train_parts(PARTS, 3, tmp_path, TINY, kill, pictures)
        trained = train_parts(PARTS, 3, tmp_path, TINY, lambda *_: None, pictures)
    stored = load_file(run_folder / "model" / "trained.safetensors")
    assert stored.keys() == trained.keys()
    for name, value in trained.items():
        assert torch.equal(value.half(), stored[name]), name
    bank = make_bank(PARTS, tmp_path, pictures)
    assert bank.cells.shape[2:] == (9, 256) and not any(picture.new for picture in bank.pictures)


def test_spelt_frames_lie_at_their_names(loaded, run_folder, pictures):
    bank = make_bank(PARTS, run_folder, pictures)
    names = NameSpace(loaded.model.get_input_embeddings().weight, loaded.tokenizer, bank)
    chosen = torch.tensor([0, 7, 7, 3])
    noise = torch.randn(4, 9, names.points.shape[1], generator=torch.Generator().manual_seed(0))
    exact, noisy = names.spelt(chosen, 0 * noise), names.spelt(chosen, 0.5 * noise)
    assert torch.equal(exact[:, 0], exact[:, 8]) and torch.equal(exact[1], exact[2])
    assert torch.allclose(exact[3, 0], names.centre + names.points[names.index[3]], atol=1e-6)
    ratio = (noisy - exact).norm(dim=-1).mean() / names.points.norm(dim=1).mean()
    assert 0.4 < ratio < 0.6
    assert names.loss(exact, chosen) < names.loss(names.spelt(chosen.flip(0), 0 * noise), chosen)


def test_training_begins_with_short_clips_of_few_pictures():
    recipe, rng = PartsRecipe(), np.random.default_rng(0)
    early = {recipe.length_at(0, rng) for _ in range(200)}
    late = {recipe.length_at(recipe.short_steps, rng) for _ in range(600)}
    assert {frames for frames, _ in early} == set(range(4, 8)) and {most for _, most in early} == {3}
    assert {frames for frames, _ in late} == set(range(4, 17)) and {most for _, most in late} == {5}


def test_mistakes_are_one_sentence(run_folder, tmp_path):
    with pytest.raises(UnknownNameError, match="llava-smollm2"):
        load_video_model("llava-smolm2")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "parts.json").write_text("{}]")
    with pytest.raises(DataError, match="expected the list of a model's parts"):
        load_video_model(str(folder))
    (folder / "parts.json").write_text((run_folder / "model" / "parts.json").read_text())
    (folder / "trained.safetensors").write_bytes(b"nothing")
    with pytest.raises(
        DataError, match=r"trained\.safetensors: cannot be read .* expected the trained part of such a model"
    ):
        load_video_model(str(folder), dtype="float32")


def test_the_command_scores_composed_clips(run, run_folder, pictures, tmp_path):
    change = ("options={n: 7, frames: 6}", "policies={random: null, snapkv: null}", "dtype=float32", "budgets=[0.5]")
    change = (*change, f"data={pictures}", f"model={run_folder / 'model'}")
    changes = [part for each in change for part in ("--set", f"video.{each}")]
    run("video-qa", "video/stamps", *changes, "--set", "bootstrap.resamples=100", "--output", tmp_path)
    rows = json.loads((tmp_path / "summary.json").read_text())["rows"]
    assert {row["n"] for row in rows} == {7}
    kept = [row["kept"]["fraction"] for row in rows]
    assert kept[0] == 1.0 and all(abs(each - 0.5) < 0.1 for each in kept[1:])


@pytest.mark.parametrize("name", ASSEMBLED)
def test_a_shipped_model_is_small_and_its_card_tells_what_was_measured(name):
    folder = SHIPPED / ASSEMBLED[name]
    assert name in list_video_models()
    assert (folder / "trained.safetensors").stat().st_size < 5_000_000
    parts, stored = read_parts(folder), load_file(folder / "trained.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    assert stored["projector.linear_1.weight"].shape[1] == parts.width
    assert sum(key.endswith(".down") for key in stored) == 4 * 30
    measured = json.loads((folder / "measured.json").read_text())["by_pictures"]
    card = (folder / "README.md").read_text()
    for pictures, found in measured.items():
        low, high = found["interval_95"]
        assert low <= found["overall"] <= high and found["questions"] >= 200
        assert f"| {pictures} | {found['overall']:.3f} [{low:.3f}, {high:.3f}] (n = {found['questions']})" in card
    assert measured["known"]["interval_95"][0] > 0.7 and measured["new"]["interval_95"][0] > 0.4  # chance is 0.29
