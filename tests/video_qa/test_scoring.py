"""Options compared on one pruned prefill score as if the model had read prompt and option anew."""

import numpy as np
import pytest
import torch

from namm_xmodal import H2O, FastV, KeyDiff, Namm, RandomEviction, Recency, SnapKV, pruned
from namm_xmodal.cache.oracle import ORACLE_NAME, masked_attention, recording, visibility_of
from namm_xmodal.errors import DataError
from namm_xmodal.modalities.video.arms import cache_room, video_arms, with_room
from namm_xmodal.modalities.video.prefix import read_prefix
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video
from namm_xmodal.video.visual_tokens import all_tokens

OPTIONS = ("red", "blue circle", "two shapes first", "green")
POLICIES = {
    "full": (None, "streaming"),
    "random": (RandomEviction(budget=30), "streaming"),
    "snapkv": (SnapKV(budget=30, window=4, kernel=1), "post_prefill"),
}


@pytest.fixture(scope="module")
def prompt(loaded):
    video = encode_video(loaded, make_clip(0, 3, 8).video)
    return embed_prompt(loaded, Prompt((range(8), "what comes first?"), OPTIONS), all_tokens(video))


@pytest.mark.parametrize("name", POLICIES)
def test_likelihoods_equal_a_run_of_its_own_for_each_option(loaded, prompt, name):
    policy, schedule = POLICIES[name]
    model = loaded.model
    with pruned(model, policy, update_every=16, schedule=schedule, protect_recent=4) as memory:
        found = answer(memory, prompt)
        assert found.lengths == (1, 2, 3, 1)
        for place, candidate in enumerate(prompt.candidates):
            cache = memory.cache()
            inputs = {"inputs_embeds": prompt.embeddings, "position_ids": prompt.position_ids}
            logits = [memory.adapter.forward(model, inputs, cache)[0, -1]]
            for at, token in enumerate(candidate[:-1]):
                step = {
                    "input_ids": torch.tensor([[token]]),
                    "position_ids": torch.tensor([[prompt.next_position + at]]),
                }
                logits.append(memory.adapter.forward(model, step, cache)[0, -1])
            total = sum(float(row.log_softmax(-1)[token]) for row, token in zip(logits, candidate, strict=True))
            assert found.log_likelihoods[place] == pytest.approx(total, abs=1e-4)
    assert found.scores("mean")[2] == pytest.approx(found.log_likelihoods[2] / 3)
    if policy is None:
        assert found.kept_visual == 72
    else:
        assert 0 < found.kept_visual < 50


def test_a_pruned_prefill_of_a_video_equals_the_oracle(loaded, prompt):
    model = loaded.model
    inputs = {"inputs_embeds": prompt.embeddings, "position_ids": prompt.position_ids}
    with pruned(model, RandomEviction(budget=30), update_every=16) as memory:
        cache = recording(memory.cache())
        output = memory.adapter.forward(model, inputs, cache)
        before = {**memory.adapter.current_implementation(model), "text_config": "sdpa"}
        switch = memory.adapter.attention_implementation(model, ORACLE_NAME)
    with masked_attention(model, visibility_of(cache), switch=switch, restore=before):
        expected = model(**inputs, use_cache=False).logits
    assert torch.allclose(output, expected, atol=2e-4)


def test_generation_is_that_of_transformers(loaded, prompt):
    made = loaded.model.generate(
        inputs_embeds=prompt.embeddings, attention_mask=torch.ones(1, prompt.length), max_new_tokens=6, do_sample=False
    )
    with pruned(loaded.model, None) as memory:
        text = answer(memory, prompt, loaded.tokenizer, 6).text
    assert text == loaded.tokenizer.decode(made[0], skip_special_tokens=True).strip()


@pytest.mark.parametrize("every", [16, 32, None])
@pytest.mark.parametrize("share", [0.75, 0.25])
def test_every_cache_holds_equally_many_tokens_when_it_answers(loaded, prompt, every, share):
    visual = int(prompt.visual.sum())
    room = cache_room(share, full=prompt.full, visual=visual, text=prompt.length - visual, every=every, protected=5)
    schedule = "post_prefill" if every is None else "streaming"
    with pruned(loaded.model, RandomEviction(budget=room), update_every=every, schedule=schedule) as memory:
        answer(memory, prompt)
        held = np.array(memory.report().live)
    assert (held == round(share * prompt.full) + prompt.length - visual).all()


def test_a_prompt_that_no_update_reaches_is_refused():
    with pytest.raises(DataError, match="a prompt of 83 tokens is shorter than update_every"):
        cache_room(0.5, full=72, visual=72, text=11, every=128, protected=5)


@pytest.mark.parametrize(
    "policy",
    [
        None,
        KeyDiff(budget=40),
        H2O(budget=40),
        SnapKV(budget=40),
        Recency(budget=40),
        RandomEviction(budget=40),
        Namm.untrained("random", sigma=0.5, seed=1, max_tokens=40),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_a_shared_prefix_changes_no_answer(loaded, policy):
    """Each question about a video has the answer and the cache that it has when it is read alone."""
    visual = all_tokens(encode_video(loaded, make_clip(0, 3, 8).video))
    asked = ["what comes first?", "how many shapes are there in this video?"]
    prompts = [embed_prompt(loaded, Prompt((range(8), text), OPTIONS), visual) for text in asked]
    with pruned(loaded.model, policy, update_every=16, protect_recent=4) as memory:
        prefix = read_prefix(memory, prompts[0])
        assert prompts[0].visual[: prefix.embeddings.shape[1]].sum() == 72
        for prompt in prompts:
            alone = answer(memory, prompt)
            held = [layer.index.clone() for layer in memory.last_cache.layers]
            assert prefix.begins(prompt)
            shared = answer(memory, prompt, prefix=prefix)
            assert shared.log_likelihoods == pytest.approx(alone.log_likelihoods, abs=1e-4)
            assert shared.kept_visual == alone.kept_visual and shared.report.live == alone.report.live
            for layer, index in zip(memory.last_cache.layers, held, strict=True):
                assert torch.equal(layer.index[0].sort(-1).values, index[0].sort(-1).values)
        another = all_tokens(encode_video(loaded, make_clip(0, 4, 8).video))
        assert not prefix.begins(embed_prompt(loaded, Prompt((range(8), asked[0]), OPTIONS), another))


def test_fastv_holds_all_text_and_its_share_of_visual_tokens_after_the_layer_that_chooses(loaded, prompt):
    visual = int(prompt.visual.sum())
    room = cache_room(0.25, full=prompt.full, visual=visual, text=prompt.length - visual, every=None, protected=5)
    policy = with_room(FastV(layer=1), room, prompt.visual)
    with pruned(loaded.model, policy, schedule="post_prefill", protect_first=1, protect_recent=4) as memory:
        found = answer(memory, prompt)
        first, *later = (layer.index[0] for layer in memory.last_cache.pruned)
    text = set((~prompt.visual).nonzero()[:, 0].tolist())
    assert first.shape[-1] == prompt.length
    for index in later:
        held = [set(head[head >= 0].tolist()) for head in index]
        assert text < held[0]
        assert len(held[0] - text) == round(0.25 * prompt.full)
        assert all(other == held[0] for other in held)
    layers = len(later) + 1
    assert found.kept_visual == pytest.approx((visual + len(later) * round(0.25 * visual)) / layers)
    with pruned(loaded.model, None) as memory:
        assert answer(memory, prompt).log_likelihoods != found.log_likelihoods  # of first tokens too


def test_fastv_chooses_after_the_prompt_whatever_the_others_do():
    policies = {"keydiff": {"policy": "keydiff"}, "fastv": {"policy": "fastv"}}
    section = VideoSection(policies=policies, budgets=[0.25], schedules=["streaming"])
    assert [arm.name for arm in video_arms(section)] == ["keydiff, 25%", "fastv, 25%, post_prefill"]
