"""Buffers of policies: precision, windows, heads apart and together again."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny

from namm_xmodal import TOVA, ExpectedAttention, Namm, SnapKV, pruned
from namm_xmodal.policies.state import State


def a_state(precision=torch.float32) -> State:
    state = State(2, 3, 4, torch.device("cpu"), precision)
    state.add_token_buffer("average", 2, narrow=True)
    state.add_token_buffer("newest", 5, narrow=True, window=8)
    state.add_row_buffer("queries", 7, narrow=True, window=5)
    state.add_token_buffer("sum", 1)
    return state


@pytest.mark.parametrize(
    ("precision", "of_tokens", "of_rows"),
    [
        (torch.float64, torch.float32, torch.float32),
        (torch.float32, torch.float32, torch.float32),
        (torch.bfloat16, torch.float16, torch.bfloat16),
        (torch.float16, torch.float16, torch.float16),
    ],
)
def test_narrow_buffers_are_half_as_wide_in_half_precision_only(precision, of_tokens, of_rows):
    state = a_state(precision)
    assert (state.token("average").dtype, state.row("queries").dtype) == (of_tokens, of_rows)
    assert state.token("sum").dtype == torch.float32


def test_windows_that_end_before_the_next_update_are_given_back():
    state = a_state()
    for name in ("average", "newest", "sum"):
        state.token(name).fill_(1)
    state.row("queries").fill_(1)
    state.release(5)
    assert state.num_bytes == 4 * 2 * 3 * 4 * (2 + 5 + 1)
    assert state.row("queries").eq(0).all()
    state.release(8)
    state.grow(2)
    assert state.token("newest").shape == (2, 3, 5, 6)
    assert state.token("newest").eq(0).all()
    assert state.token("average")[..., :4].eq(1).all()


def test_heads_part_and_come_together():
    state = a_state()
    state.token("average").copy_(torch.rand(2, 3, 2, 4))
    state.row("queries").fill_(2)
    parts = [state.of_heads((1,), rows=True), state.of_heads((0, 2), rows=False)]
    parts[0].gather(torch.tensor([2, 3]).expand(2, 1, -1))
    parts[1].token("newest").fill_(3)
    whole = parts[0].of_lanes(parts[1:], [[1], [0, 2]])
    assert torch.equal(whole.token("average")[:, [0, 2]], state.token("average")[:, [0, 2]])
    assert torch.equal(whole.token("average")[:, 1, :, :2], state.token("average")[:, 1, :, 2:])
    assert whole.token("average")[:, 1, :, 2:].eq(0).all()
    assert whole.token("newest")[:, [0, 2]].eq(3).all()
    assert whole.token("newest")[:, 1].eq(0).all()
    assert whole.row("queries").eq(2).all()


@pytest.mark.parametrize(
    "policy", [SnapKV(budget=20, window=8), TOVA(budget=20), ExpectedAttention(budget=20, n_queries=16, n_future=16)]
)
def test_what_the_next_update_reads_anew_takes_no_memory(policy):
    model, batch = tiny("llama"), padded_batch(96, rows=1)
    with pruned(model, policy, update_every=32) as memory:
        in_chunks(model, batch, memory.cache(), 96)
        assert memory.report().state_bytes == 0
        cache = memory.cache()
        in_chunks(model, {name: each[:, :85] for name, each in batch.items()}, cache, 85)
        assert (memory.report().state_bytes > 0) == isinstance(policy, ExpectedAttention)  # 11 tokens before the next


def test_a_namm_keeps_nearly_the_same_with_half_the_bits():
    found = {}
    for precision in (torch.float32, torch.bfloat16):
        model, batch = tiny("llama").to(torch.bfloat16), padded_batch(256, rows=1)
        policy = Namm.untrained("random", sigma=0.3, seed=1, threshold=-1e9, max_tokens=0.25)
        start = State.__init__
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                State, "__init__", lambda self, *about, _to=precision, _start=start: _start(self, *about[:4], _to)
            )
            with torch.no_grad(), pruned(model, policy, update_every=64) as memory:
                cache = memory.cache()
                in_chunks(model, batch, cache, 256)
                found[precision] = [layer.index for layer in cache.layers], memory.report().state_bytes
    assert found[torch.bfloat16][1] * 2 == found[torch.float32][1]
    kept = [
        len(set(a.tolist()) & set(b.tolist())) / len(a)
        for one, other in zip(found[torch.bfloat16][0], found[torch.float32][0], strict=True)
        for a, b in zip(one[0], other[0], strict=True)
    ]
    assert sum(kept) / len(kept) > 0.97
