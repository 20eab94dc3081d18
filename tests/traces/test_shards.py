"""Shards of traces: bounded, whole, and refused in one line when they are something else."""

from dataclasses import replace

import pytest
import torch

from namm_xmodal.errors import DataError
from namm_xmodal.traces.recorder import Snapshot
from namm_xmodal.traces.shards import of_snapshots, read_shard, write_shard
from namm_xmodal.types import LayerShape


def snapshots(layers=3, heads=4, numbers=5):
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape):
        return torch.rand(*shape, generator=generator)

    return [
        Snapshot(
            LayerShape(layer, layers, heads, heads, 8), seen, drawn(1, heads, numbers, seen), drawn(1, heads, seen)
        )
        for layer in range(layers)
        for seen in (16, 32)
    ]


def test_some_heads_of_every_layer_and_update(tmp_path):
    given = snapshots()
    found = of_snapshots(given, 2, torch.Generator().manual_seed(1))
    assert [(each.seen, each.layers.tolist()) for each in found] == [(16, [0, 0, 1, 1, 2, 2]), (32, [0, 0, 1, 1, 2, 2])]
    for each in found:
        assert each.shape.tolist() == [3, 4]
        for layer, head, constants, future in zip(each.layers, each.heads, each.constants, each.future, strict=True):
            whole = next(s for s in given if (s.shape.layer, s.seen) == (int(layer), each.seen))
            same = [h for h in range(4) if torch.equal(whole.constants[0, h], constants)]
            assert same == [int(head)]
            assert torch.equal(whole.future[0, same[0]], future)
    assert len(of_snapshots(given, 9, torch.Generator())[0].layers) == 12  # no more than there are

    path = tmp_path / "deep" / "shard.safetensors"
    write_shard(path, found)
    for before, after in zip(found, read_shard(path, 5), strict=True):
        assert before.seen == after.seen
        for name in ("constants", "future", "layers", "heads", "shape"):
            assert torch.equal(getattr(before, name), getattr(after, name))

    write_shard(path, [replace(each, heads=None, shape=None) for each in found])  # as before heads were noted
    old = read_shard(path, 5)
    assert [(each.seen, each.heads, each.shape) for each in old] == [(16, None, None), (32, None, None)]
    assert torch.equal(old[0].constants, found[0].constants)


def test_what_is_not_a_shard_is_one_line(tmp_path):
    path = tmp_path / "shard.safetensors"
    write_shard(path, of_snapshots(snapshots(), 2, torch.Generator()))
    with pytest.raises(DataError, match=r"expected 7 numbers per token as these features have; remove it") as caught:
        read_shard(path, 7)
    assert "\n" not in str(caught.value)
    content = path.read_bytes()
    for broken in (b"", content[:100], content[:-50], b"x" * 400):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="a shard of traces") as caught:
            read_shard(path, 5)
        assert "\n" not in str(caught.value)
