"""Videos pruned before the question is read: exact, of the size that was asked for, whatever is asked."""

import numpy as np
import pytest
import torch
from evaluations import make, plan_of, run

from namm_xmodal import H2O, KeyDiff, RandomEviction, SnapKV, pruned
from namm_xmodal.cache.oracle import ORACLE_NAME, masked_attention
from namm_xmodal.errors import ItemError
from namm_xmodal.modalities.video.arms import cache_room
from namm_xmodal.modalities.video.inspection import inspect_video
from namm_xmodal.modalities.video.prefix import read_prefix, tokens_after_video
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video
from namm_xmodal.video.visual_tokens import all_tokens

OPTIONS = ("red", "blue circle")
POLICIES = [
    lambda room: H2O(budget=room),
    lambda room: KeyDiff(budget=room),
    lambda room: SnapKV(budget=room, window=4, kernel=1),
    lambda room: RandomEviction(budget=room),
]
ASKED = ["what comes first?", "how many shapes are there in this video?"]


@pytest.fixture(scope="module")
def prompts(loaded):
    video = all_tokens(encode_video(loaded, make_clip(0, 3, 8).video))
    return [embed_prompt(loaded, Prompt((range(8), text), OPTIONS), video) for text in ASKED]


@pytest.mark.parametrize("share", [0.5, 0.25])
@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_kept_does_not_depend_on_the_question_and_is_of_the_size_asked_for(loaded, prompts, policy, share):
    kept = []
    for prompt in prompts:
        visual, asked = int(prompt.visual.sum()), tokens_after_video(prompt)
        assert asked == prompt.length - 1 - max(prompt.visual.nonzero()).item()
        text = prompt.length - visual
        room = cache_room(share, full=prompt.full, visual=visual, text=text, every=None, protected=5, asked=asked)
        with pruned(loaded.model, policy(room), schedule="post_prefill", protect_recent=4) as memory:
            prefix = read_prefix(memory, prompt, frozen=True)
            assert answer(memory, prompt, prefix=prefix).text == ""
            held = np.array(memory.report().live)
            assert (held == round(share * prompt.full) + text).all()
            kept.append([layer.index[..., :room] for layer in prefix.cache.pruned])
    assert all(torch.equal(one, other) for one, other in zip(*kept, strict=True))


def test_likelihoods_equal_full_attention_to_what_the_video_left(loaded, prompts):
    model, prompt = loaded.model, prompts[0]
    count = prompt.length - tokens_after_video(prompt)
    with torch.no_grad(), pruned(model, RandomEviction(budget=30), schedule="post_prefill") as memory:
        prefix = read_prefix(memory, prompt, frozen=True)
        found = answer(memory, prompt, prefix=prefix)
        visible = []
        for layer in prefix.cache.pruned:
            seen = torch.ones(1, layer.index.shape[1], prompt.length, prompt.length, dtype=torch.bool)
            for head, slots in enumerate(layer.index[0].tolist()):
                seen[0, head, count:, sorted(set(range(count)) - set(slots))] = False
            visible.append(seen)
        before = {**memory.adapter.current_implementation(model), "text_config": "sdpa"}
        switch = memory.adapter.attention_implementation(model, ORACLE_NAME)
    inputs = {"inputs_embeds": prompt.embeddings, "position_ids": prompt.position_ids}
    with torch.no_grad(), masked_attention(model, visible, switch=switch, restore=before):
        last = model(**inputs, use_cache=False).logits[0, -1].log_softmax(-1)
    assert found.log_likelihoods[0] == pytest.approx(float(last[prompt.candidates[0][0]]), abs=2e-4)


def test_an_evaluation_reads_each_video_once_and_shares_it(model_folder, tmp_path, monkeypatch):
    from namm_xmodal.modalities.video import session

    read, method = [], session.read_prefix
    monkeypatch.setattr(session, "read_prefix", lambda *a, **how: read.append(how["frozen"]) or method(*a, **how))
    policies = {"full": {"policy": "full"}, "keydiff": {"policy": "keydiff"}}
    section = {
        "model": str(model_folder),
        "options": {"n": 4, "frames": 8},
        "policies": policies,
        "budgets": [0.5],
        "schedules": ["post_context", "post_prefill"],
        "loader": {"workers": 0},
    }
    config = make(video=section, output=str(tmp_path / "out"))
    (plan,) = plan_of(config)
    plan.check()
    records = run(config)
    assert {record.schedule for record in records} == {"none", "post_context", "post_prefill"}
    videos = len({record.group for record in records})
    assert sorted(read) == [False] * videos + [True] * videos
    for record in records:
        assert record.status == "scored"
        if record.policy == "keydiff":
            assert record.kept.fraction == pytest.approx(0.5, abs=0.1)
    close = {**section, "schedules": ["post_context"], "protect_recent": 60}
    (plan,) = plan_of(make(video=close, output=str(tmp_path / "close")))
    with pytest.raises(ItemError, match=r"policies\.keydiff: .* tokens at the last update, fewer"):
        plan.check()


def test_a_question_is_looked_at_under_each_schedule(loaded):
    frames = make_clip(0, 3, 8).video
    policies = {"keydiff": KeyDiff(budget=0.5)}
    found = [
        inspect_video(loaded, frames, question, OPTIONS, policies, share=0.5, update_every=16, schedule="post_context")[
            0
        ]
        for question in ASKED
    ]
    assert np.array_equal(found[0].kept, found[1].kept)  # whatever is asked
    assert found[0].probabilities != found[1].probabilities
