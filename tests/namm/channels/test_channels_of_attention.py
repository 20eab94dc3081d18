"""Channels that read attention rows: direct formulas in float64, for tiles of any sizes and after evictions."""

import math

import pytest
import torch
from observations import observation

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.channels import CHANNELS, Convolution, RecentAttention
from namm_xmodal.policies.protocol import Tile
from namm_xmodal.policies.state import State

TILES = ([96], [7] * 13 + [5], [16] * 6, [1] * 96, [40, 56])
OF_ATTENTION = [name for name, kind in CHANNELS.items() if kind().reads.anything]


def causal_rows(queries=96, seed=0):
    """(1, 2, queries, queries)."""
    logits = torch.randn(1, 2, queries, queries, generator=torch.Generator().manual_seed(seed)) * 2
    return logits.masked_fill(torch.ones(queries, queries).triu(1).bool(), -math.inf).softmax(-1)


def after(channel, rows, sizes):
    """What the channel reads after tiles of these sizes; slots grow as tokens come."""
    state, first = State(1, 2, 0, torch.device("cpu")), 0
    channel.start(state)
    for size in sizes:
        state.grow(size, spare=3)
        channel.observe(state, Tile(first, rows[:, :, first : first + size, : first + size], None))
        first += size
    return channel.read(observation(state))


def convolution_by_definition(signal, decay):
    """Nine numbers of one token, from its attention over all queries: plain loops in float64."""
    averages = [0.0] * 9
    padded = [0.0] * 16 + [float(x) for x in signal]
    for hop in range(len(signal) // 16):
        sums = [0.0] * 9
        for query in range(16 + 16 * hop, 32 + 16 * hop):
            sums[0] += padded[query]
            for place, scale in enumerate((1, 2, 4, 8)):
                new = sum(padded[query - scale + 1 : query + 1]) / scale
                old = sum(padded[query - 2 * scale + 1 : query - scale + 1]) / scale
                sums[1 + place] += max(0.0, new - old)
                sums[5 + place] += max(0.0, old - new)
        averages = [decay * a + (1 - decay) * s / 16 for a, s in zip(averages, sums, strict=True)]
    return averages


def test_convolution_is_that_of_the_formula():
    rows = causal_rows().double()
    found = after(Convolution(ema_coefficient=0.95), rows.float(), [96])
    assert found.shape == (1, 2, 9, 96)
    for head, slot in ((0, 0), (0, 37), (1, 80), (1, 95)):
        expected = convolution_by_definition(rows[0, head, :, slot], 0.95**16)
        assert found[0, head, :, slot].tolist() == pytest.approx(expected, abs=1e-7)


def test_convolution_tells_a_gain_from_a_loss():
    rising, falling = torch.linspace(0, 1, 64), torch.linspace(1, 0, 64)
    state = State(1, 1, 2, torch.device("cpu"))
    channel = Convolution()
    channel.start(state)
    channel.observe(state, Tile(0, torch.stack([rising, falling], -1)[None, None], None))
    _, *differences = channel.read(observation(state))[0, 0]
    rise, fall = torch.stack(differences).split(4)
    assert (rise[:, 0] > fall[:, 0]).all()
    assert (rise[:, 1] < fall[:, 1]).all()


def test_kernels_are_no_longer_than_a_hop():
    assert Convolution(n_fft=8, hop=4).scales == (1, 2)
    assert Convolution(n_fft=2, hop=1).raw == 1


@pytest.mark.parametrize("rows", [1, 5, 16, 200])
def test_recent_attention_is_the_newest_rows(rows):
    attention = causal_rows()
    found = after(RecentAttention(rows=rows), attention, [96])
    known = attention[:, :, -min(rows, 96) :]
    assert torch.equal(found[:, :, -min(rows, 96) :], known)
    assert found.shape == (1, 2, rows, 96)
    assert not found[:, :, : max(0, rows - 96)].any()


@pytest.mark.parametrize("name", OF_ATTENTION)
@pytest.mark.parametrize("standardise", ["frozen", "context"])
def test_tiles_of_any_sizes_leave_the_same(name, standardise):
    rows, channel = causal_rows(), CHANNELS[name](standardise=standardise)
    whole = after(channel, rows, TILES[0])
    assert whole.shape == (1, 2, channel.raw, 96)
    for sizes in TILES[1:]:
        assert torch.allclose(after(channel, rows, sizes), whole, atol=1e-4 if standardise == "context" else 1e-6)


@pytest.mark.parametrize("name", OF_ATTENTION)
def test_in_context_it_is_the_logarithm(name):
    rows, kind = causal_rows(), CHANNELS[name]
    frozen, context = (after(kind(standardise=how), rows, [96]) for how in ("frozen", "context"))
    assert torch.allclose(context.double(), (frozen.double() + 1e-6).log(), atol=1e-5)


@pytest.mark.parametrize("name", OF_ATTENTION)
def test_evictions_leave_survivors_alone(name):
    rows, keep, channel = causal_rows(), torch.arange(0, 40, 3), CHANNELS[name]()
    state = State(1, 2, 40, torch.device("cpu"))
    channel.start(state)
    channel.observe(state, Tile(0, rows[:, :, :40, :40], None))
    state.gather(keep.expand(1, 2, -1))
    state.grow(56)
    channel.observe(state, Tile(40, torch.cat([rows[:, :, 40:, keep], rows[:, :, 40:, 40:]], -1), None))
    survivors = channel.read(observation(state, seen=96))[..., : len(keep)]
    assert torch.allclose(survivors, after(channel, rows, [96])[..., keep], atol=1e-6)


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"rows": 5000}, {"standardise": "later"}])
def test_impossible_settings_of_channels_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        RecentAttention(**wrong)
