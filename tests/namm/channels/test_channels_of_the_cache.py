"""Channels that read keys, values and positions: direct formulas in float64, and dead slots that nobody looks at."""

import math

import pytest
import torch
from observations import observation

from namm_xmodal.policies.namm.channels import (
    CHANNELS,
    KeyNovelty,
    NearestKey,
    RelativeAge,
    UnrotatedKeyNovelty,
    ValueNorm,
)
from namm_xmodal.policies.namm.channels.nearest_key import nearest
from namm_xmodal.policies.rotation import rotate

KINDS = [KeyNovelty, NearestKey, RelativeAge, UnrotatedKeyNovelty, ValueNorm]


def rotary(positions):
    """Of 6 of 8 dimensions, scaled as YaRN does."""
    angle = (positions[:, None] * torch.tensor([1.0, 0.3, 0.05])).repeat(1, 2)
    return 1.3 * angle.cos(), 1.3 * angle.sin()


def ragged(stale=0.0, seed=0):
    """2 rows, 3 heads, 17 slots; a third of them dead and holding `stale`; one head with a single live token."""
    source = torch.Generator().manual_seed(seed)
    keys, values = torch.randn(2, 2, 3, 17, 8, generator=source) + 0.4
    positions = torch.stack([torch.randperm(40, generator=source)[:17].sort().values for _ in range(6)]).view(2, 3, 17)
    dead = torch.rand(2, 3, 17, generator=source) < 0.3
    dead[0, 1, :16], dead[..., 16] = True, False
    keys = keys.masked_fill(dead[..., None], stale)
    values = values.masked_fill(dead[..., None], stale)
    positions = positions.masked_fill(dead, -1)
    return observation(keys=keys, values=values, positions=positions, seen=40, rotary=rotary)


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def direct(kind, seen, row, head, number, slot):
    """One number by its definition, in float64."""
    keys, values = (tensor[row, head].double() for tensor in (seen.keys, seen.values))
    live = [s for s in range(17) if seen.live[row, head, s]]
    if kind is RelativeAge:
        return (39 - int(seen.positions[row, head, slot])) / 40
    if kind is ValueNorm:
        return math.log(math.sqrt(sum(float(x) ** 2 for x in values[slot])))
    if kind in (NearestKey, UnrotatedKeyNovelty):
        keys = torch.stack(
            [turned_back(key, int(place)) for key, place in zip(keys, seen.positions[row, head], strict=True)]
        )
    if kind is NearestKey:
        side = [other for other in live if (other < slot if number == 0 else other > slot)]
        return max((cosine(keys[slot], keys[other]) for other in side), default=-1.0)
    mean = sum(keys[other] / keys[other].norm() for other in live) / len(live)
    return -cosine(keys[slot], mean)


def turned_back(key, position):
    key, pairs = key.clone(), ((0, 3), (1, 4), (2, 5))
    for (a, b), frequency in zip(pairs, (1.0, 0.3, 0.05), strict=True):
        turn = complex(float(key[a]), float(key[b])) * complex(
            math.cos(position * frequency), -math.sin(position * frequency)
        )
        key[a], key[b] = turn.real / 1.3, turn.imag / 1.3
    return key


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_the_formula(kind):
    seen = ragged(stale=1e4)
    found = kind().read(seen)
    assert found.shape == (2, 3, kind().raw, 17) and bool(found.isfinite().all())
    for row, head, slot in seen.live.nonzero().tolist():
        for number in range(kind.raw):
            expected = direct(kind, seen, row, head, number, slot)
            assert float(found[row, head, number, slot]) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_stale_numbers_of_dead_slots_change_nothing(kind):
    live = ragged().live
    clean, stale = (kind().read(ragged(stale)).movedim(2, -1)[live] for stale in (0.0, -1e4))
    assert torch.equal(clean, stale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_precision_of_the_model_does_not_reach_the_scorer(kind, dtype):
    seen = ragged()
    found = kind().read(
        observation(keys=seen.keys.to(dtype), values=seen.values.to(dtype), positions=seen.positions, seen=40)
    )
    assert found.dtype == torch.float32


@pytest.mark.parametrize("block", [1, 7, 102, 103 * 5, 10**9])
def test_the_nearest_key_is_the_same_in_blocks_of_any_size(block):
    seen = ragged()
    assert torch.allclose(nearest(seen.keys, seen.live, block), nearest(seen.keys, seen.live), atol=1e-6)


def test_of_two_copies_one_has_an_older_and_one_a_newer_neighbour():
    bare = torch.randn(1, 1, 40, 8, generator=torch.Generator().manual_seed(0))
    bare[0, 0, 30] = bare[0, 0, 3] * 2
    keys = rotate(bare, *rotary(torch.arange(40)))
    older, newer = NearestKey().read(observation(keys=keys, rotary=rotary))[0, 0]
    assert older.argmax() == 30 and newer.argmax() == 3
    assert older[30] == newer[3] == pytest.approx(1.0, abs=1e-5)
    assert older[0] == newer[-1] == -1.0


def test_unrotated_novelty_does_not_depend_on_the_place():
    bare = torch.randn(1, 1, 12, 8, generator=torch.Generator().manual_seed(1))
    turned = []
    for stride in (1, 3):
        places = torch.arange(12) * stride
        cosines, sines = rotary(places)
        turned.append(
            observation(keys=rotate(bare, cosines, sines), positions=places.expand(1, 1, -1), seen=40, rotary=rotary)
        )
    first, second = (UnrotatedKeyNovelty().read(each) for each in turned)
    assert torch.allclose(first, second, atol=1e-5)
    assert torch.allclose(first, KeyNovelty().read(observation(keys=bare)), atol=1e-5)
    assert not torch.allclose(*(KeyNovelty().read(each) for each in turned), atol=1e-2)


def test_channels_of_the_cache_ask_for_no_attention():
    for kind in KINDS:
        assert not kind().reads.anything
    assert [name for name, kind in CHANNELS.items() if kind().reads.rotary] == ["unrotated_key_novelty"]
