"""Models whose own processor makes the prompt: what is read in parts is what they read whole, from a folder to a result."""

import json

import numpy as np
import pytest
import torch
from seeing import KINDS, seeing
from transformers import DynamicCache
from transformers.video_utils import VideoMetadata

from namm_xmodal import KeyDiff, pruned
from namm_xmodal.cache.oracle import ORACLE_NAME, masked_attention, recording, visibility_of
from namm_xmodal.errors import ItemError
from namm_xmodal.modalities.video.inspection import kept_cells
from namm_xmodal.modalities.video.prefix import read_prefix
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.processor_model import ProcessorVideoModel

FRAMES, TIMES = 6, tuple(range(6))
PROMPT = Prompt((range(FRAMES), "which colour comes after red ?"), ("blue", "green and red"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for kind in KINDS:
        model, processor = seeing(kind)
        folder = tmp_path_factory.mktemp(kind)
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        made[kind] = folder
    return made


@pytest.fixture(scope="module")
def frames():
    return make_clip(0, 0, FRAMES).video


@pytest.fixture(params=KINDS)
def loaded(request, folders):
    found = load_video_model(str(folders[request.param]), dtype="float32")
    assert isinstance(found, ProcessorVideoModel)
    return found


def own_logits(loaded, frames, option=()):
    """Logits of the model on what its processor makes of chat and frames, an option's tokens after them."""
    content = [{"type": "video"}, {"type": "text", "text": PROMPT.segments[1]}]
    text = loaded.processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    about = [VideoMetadata(total_num_frames=FRAMES, fps=1.0, duration=6.0, frames_indices=list(range(FRAMES)))]
    inputs = loaded.processor(
        text=[text], videos=[list(frames)], video_metadata=about, do_sample_frames=False, return_tensors="pt"
    )
    if option:
        more = torch.tensor([option])
        inputs["input_ids"] = torch.cat([inputs["input_ids"], more], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "mm_token_type_ids" in inputs:
            inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(more)], 1)
    with torch.no_grad():
        return loaded.model(**inputs).logits[0]


def test_a_prompt_in_parts_is_the_model_s_own(loaded, frames):
    prompt = loaded.embed(PROMPT, loaded.encode(frames, TIMES))
    expected = own_logits(loaded, frames)
    assert prompt.length == len(expected)
    assert prompt.full == int(prompt.visual.sum()) > FRAMES
    assert prompt.places[prompt.visual, 0].tolist() == sorted(prompt.places[prompt.visual, 0].tolist())
    with pruned(loaded.model, None) as memory:
        prefix = read_prefix(memory, prompt)
        assert prefix is not None
        assert prefix.begins(prompt)
        found = answer(memory, prompt, prefix=prefix)
        whole = answer(memory, prompt)
    assert found.kept_visual == prompt.full
    for row, option in enumerate(prompt.candidates):
        logits = own_logits(loaded, frames, option).log_softmax(-1)[prompt.length - 1 :]
        total = sum(float(logits[at, token]) for at, token in enumerate(option))
        assert found.log_likelihoods[row] == pytest.approx(total, abs=1e-4)
        assert whole.log_likelihoods[row] == pytest.approx(total, abs=1e-4)


def test_evictions_are_those_of_the_oracle(loaded, frames):
    prompt = loaded.embed(PROMPT, loaded.encode(frames, TIMES))
    with pruned(loaded.model, KeyDiff(budget=24), update_every=16) as memory, torch.no_grad():
        cache = recording(memory.cache())
        cut = prompt.length - 5
        parts = [memory.adapter.forward(memory.model, prompt.inputs(0, cut), cache)]
        parts.append(memory.adapter.forward(memory.model, prompt.inputs(cut), cache))
        assert not any(layer.untouched for layer in cache.pruned)
        kept = kept_cells(cache, prompt, FRAMES, 1)
    assert kept.shape == (4, FRAMES, 1, 1)
    assert 0 < kept.mean() < 1
    adapter = memory.adapter
    oracle = adapter.attention_implementation(loaded.model, ORACLE_NAME)
    before = adapter.current_implementation(loaded.model)
    with masked_attention(loaded.model, visibility_of(cache), switch=oracle, restore=before), torch.no_grad():
        text = loaded.model.config.get_text_config(decoder=True)
        expected = adapter.forward(loaded.model, prompt.inputs(), DynamicCache(config=text))
    torch.testing.assert_close(torch.cat(parts, 1), expected, atol=1e-4, rtol=1e-4)


def test_a_video_is_read_once_for_all_policies(loaded, frames, monkeypatch):
    video, calls = loaded.encode(frames, TIMES), []
    original = ProcessorVideoModel._given
    monkeypatch.setattr(ProcessorVideoModel, "_given", lambda *args: calls.append(args) or original(*args))
    for _ in range(3):
        loaded.embed(PROMPT, video)
    assert len(calls) == 1
    loaded.embed(Prompt((range(FRAMES), "another ?"), ("blue",)), video)
    assert len(calls) == 2


@pytest.mark.parametrize("first", [3, 2])  # some processors want videos of equal length
def test_several_ranges_of_frames_are_several_videos(loaded, frames, first):
    segments = (range(first), "then", range(first, FRAMES), "which ?")
    prompt = loaded.embed(Prompt(segments, ("red",)), loaded.encode(frames, TIMES))
    shown = prompt.places[prompt.visual, 0]
    assert set(shown.tolist()) == set(range(FRAMES))
    first_text = int((~prompt.visual).nonzero().max())
    assert first_text == prompt.length - 1


def test_text_that_reads_as_frames_is_refused(folders, frames):
    loaded = load_video_model(str(folders["llava_onevision"]), dtype="float32")
    with pytest.raises(ItemError, match="its text holds <video>"):
        loaded.embed(Prompt((range(FRAMES), "what is <video> ?"), ("red",)), loaded.encode(frames))


def test_a_prompt_beyond_the_model_s_positions_is_refused(folders):
    loaded = load_video_model(str(folders["internvl"]), dtype="float32")
    many = np.zeros((150, 16, 16, 3), np.uint8)
    with pytest.raises(ItemError, match="the model has 2,048 positions; use fewer frames"):
        loaded.embed(Prompt((range(150), "what ?"), ("red",)), loaded.encode(many))


@pytest.mark.parametrize("kind", KINDS)
def test_video_qa_from_a_folder(run, folders, tmp_path, kind):
    sets = [
        f"video.model={folders[kind]}",
        "video.options={n: 2, frames: 6}",
        "video.budgets=[0.5]",
        "video.update_every=16",
        "video.generate=true",
        *(f"video.reductions.{name}=null" for name in ("fewer_frames", "uniform_drop", "divprune")),
        *(f"video.policies.{name}=null" for name in ("recency", "random", "h2o", "snapkv")),
        "video.policies.universal={policy: namm, path: namm-universal, threshold: -.inf, budget: [0.5]}",
        f"output={tmp_path / 'out'}",
    ]
    run("video-qa", "video/offline", *[part for each in sets for part in ("--set", each)])
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    records = [line for line in lines if "policy" in line]
    assert len(records) == 6
    assert {record["status"] for record in records} == {"scored"}, [record["message"] for record in records]
    for record in records:
        if record["policy"] != "full":
            assert record["kept"]["fraction"] < 1


def test_reductions_are_refused_in_one_line(refused, folders, tmp_path):
    said = refused(
        "video-qa", "video/offline", "--set", f"video.model={folders['qwen3_vl']}", "--output", str(tmp_path / "out")
    )
    assert "reductions.fewer_frames: reduces tokens before the language model" in said
    assert "remove it (cache policies work)" in said
