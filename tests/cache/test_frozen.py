"""A frozen copy of a pruned cache: whatever is read through it, it is full attention to what the context left."""

import pytest
import torch
from families import FAMILIES, padded_batch, tiny
from ragged import RaggedByAttention, RaggedNoise

from namm_xmodal import fork, pruned
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.config import build_policy

POLICIES = {"noise": RaggedNoise(), "attention": RaggedByAttention()}
CONTEXT, WHOLE = 80, 100
REAL = ["h2o", "snapkv", "tova", "streaming_llm", "expected_attention", {"policy": "namm", "init": "random"}]


def part(batch, start, stop):
    """Tokens [start, stop) of a batch, with the mask of all up to there."""
    return {
        name: value[:, :stop] if name == "attention_mask" else value[:, start:stop] for name, value in batch.items()
    }


def visible_after(kept, context, whole):
    """(B, H, whole, whole) of each layer: what follows the context sees what was kept of it, and all that is newer."""
    found = []
    for index in kept:
        seen = torch.ones(*index.shape[:2], whole, whole, dtype=torch.bool)
        for row, heads in enumerate(index.tolist()):
            for head, slots in enumerate(heads):
                gone = [token for token in range(context) if token not in set(slots)]
                seen[row, head, context:, gone] = False
        found.append(seen)
    return found


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "policy", "size", "schedule"),
    [
        *((family, "attention", 7, "post_prefill") for family in FAMILIES),
        *((family, "noise", 20, "streaming") for family in FAMILIES),
    ],
)
def test_questions_see_what_was_kept_of_the_context(family, policy, size, schedule):
    model, batch = tiny(family, torch.float64), padded_batch(WHOLE)
    with pruned(model, POLICIES[policy], update_every=16, schedule=schedule) as memory:
        context = memory.cache()
        model(**part(batch, 0, CONTEXT), past_key_values=context)
        kept = [layer.index.clone() for layer in context.pruned]
        cache = fork(context, frozen=True)
        logits = torch.cat(
            [
                model(**part(batch, at, min(at + size, WHOLE)), past_key_values=cache).logits
                for at in range(CONTEXT, WHOLE, size)
            ],
            1,
        )
        assert all(torch.equal(before, layer.index) for before, layer in zip(kept, context.pruned, strict=True))
        for before, layer in zip(kept, cache.pruned, strict=True):
            assert torch.equal(layer.kept, (before >= 0).sum(-1) + WHOLE - CONTEXT)  # nothing more is evicted
    assert torch.stack([(index >= 0).sum(-1) for index in kept]).unique().numel() > 2, "heads must be ragged"
    visible = visible_after(kept, CONTEXT, WHOLE)
    if schedule == "streaming":  # the context's own queries lost tokens while it was read
        visible = [seen & past for seen, past in zip(visible, _past(model, batch, policy), strict=True)]
    with masked_attention(model, visible):
        expected = model(**batch, use_cache=False).logits[:, CONTEXT:]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12 * expected.abs().max().item())


def _past(model, batch, policy):
    """(B, H, WHOLE, WHOLE): what each query of the context held, by the oracle's own recording; all for later ones."""
    with pruned(model, POLICIES[policy], update_every=16) as memory:
        cache = recording(memory.cache())
        model(**part(batch, 0, CONTEXT), past_key_values=cache)
    whole = []
    for seen in visibility_of(cache):
        larger = torch.ones(*seen.shape[:2], WHOLE, WHOLE, dtype=torch.bool)
        larger[:, :, :CONTEXT, :CONTEXT] = seen
        whole.append(larger)
    return whole


@torch.no_grad()
@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
def test_generate_continues_a_frozen_copy(family):
    model, batch = tiny(family, torch.float64), padded_batch(WHOLE, 0)
    ids = batch["input_ids"]
    with pruned(model, RaggedNoise(), schedule="post_prefill") as memory:
        context = memory.cache()
        model(ids[:, :CONTEXT], past_key_values=context)
        kept = [layer.index.clone() for layer in context.pruned]
        text = [
            memory.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                past_key_values=fork(context, frozen=True),
                max_new_tokens=8,
                do_sample=False,
                eos_token_id=96,
                min_new_tokens=8,
                pad_token_id=0,
            )
            for _ in range(2)
        ]
        assert memory.report().policy == "RaggedNoise"
    assert torch.equal(*text)
    whole = WHOLE + 8
    with masked_attention(model, visible_after(kept, CONTEXT, whole)):
        logits = model(text[0], use_cache=False).logits
    assert torch.equal(logits[:, WHOLE - 1 : -1, :96].argmax(-1), text[0][:, WHOLE:])


@torch.no_grad()
@pytest.mark.parametrize("policy", REAL, ids=str)
@pytest.mark.parametrize("schedule", ["streaming", "post_prefill"])
def test_policies_with_a_state_leave_it_behind(policy, schedule):
    model, ids = tiny("llama"), padded_batch(96, 0)["input_ids"]
    with pruned(model, build_policy(policy), update_every=32, schedule=schedule) as memory:
        context = memory.cache()
        model(ids[:, :64], past_key_values=context)
        held = [layer.kept.clone() for layer in context.pruned]
        frozen = fork(context, frozen=True)
        assert sum(layer.state_bytes for layer in frozen.pruned) == 0
        model(ids[:, 64:], past_key_values=frozen)
        for token in (5, 6):  # token by token as well
            model(torch.full((2, 1), token), past_key_values=frozen)
        for before, layer in zip(held, frozen.pruned, strict=True):
            assert torch.equal(layer.kept, before + 34)
        assert memory.report().policy == type(memory.settings.policy).__name__
        again = fork(fork(frozen), frozen=True)  # a copy of a frozen one is frozen
        model(ids[:, :40], past_key_values=again)
        assert torch.equal(again.pruned[0].kept, held[0] + 74)
        assert again.settings.name == frozen.settings.name
        # The context itself goes on as if nobody had asked.
        model(ids[:, 64:], past_key_values=context)
        alone = memory.cache()
        for some in (ids[:, :64], ids[:, 64:]):
            model(some, past_key_values=alone)
        for one, other in zip(context.pruned, alone.pruned, strict=True):
            assert torch.equal(one.index, other.index) and torch.equal(one.keys, other.keys)


@torch.no_grad()
def test_rows_of_a_frozen_copy_can_be_repeated_and_chosen():
    model, ids = tiny("llama", torch.float64), padded_batch(WHOLE, 0)["input_ids"]
    with pruned(model, RaggedByAttention(), update_every=16) as memory:
        context = memory.cache()
        model(ids[:, :CONTEXT], past_key_values=context)
        expected = model(ids[:, CONTEXT:], past_key_values=fork(context, frozen=True)).logits
        many = fork(context, frozen=True)
        many.batch_repeat_interleave(3)
        many.batch_select_indices(torch.tensor([5, 0]))
        torch.testing.assert_close(model(ids[[1, 0], CONTEXT:], past_key_values=many).logits, expected[[1, 0]])
