"""Traces on disk: one safetensors file per text, video or episode, bounded, written whole, read back in any order."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import DataError
from namm_xmodal.traces.recorder import Snapshot
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.safetensors_file import read_safetensors

LARGEST = 256 * MIB
_EXPECTED = "a shard of traces written by `namm-xmodal train`"


@dataclass(frozen=True)
class Traces:
    """Heads of one or several layers at one update of one input.

    Attributes:
        seen: Tokens seen, all of them cached; S of them.
        constants: (N, num_constants, S) what the features saw; see `Features.constants`.
        future: (N, S) the largest attention that each token received later.
        layers: (N,) int64 layer of each head.
        heads: (N,) int64 place of each head among those of its layer; None in shards that earlier versions wrote.
        shape: (2,) int64 layers of the model, and kv heads of each; None in such shards.
    """

    seen: int
    constants: Tensor
    future: Tensor
    layers: Tensor
    heads: Tensor | None = None
    shape: Tensor | None = None


def of_snapshots(snapshots: Sequence[Snapshot], heads: int, generator: torch.Generator) -> list[Traces]:
    """Some heads of every layer, drawn anew at each update.

    Args:
        snapshots: Of one input.
        heads: Most kv heads of a layer and update; bounds the size of a shard.
        generator: Draws them.
    """
    found = []
    for seen in sorted({each.seen for each in snapshots}):
        saw, futures, layers, heads_of = [], [], [], []
        for each in snapshots:
            if each.seen != seen:
                continue
            constants, future = each.constants.flatten(0, 1), each.future.flatten(0, 1)  # (B, H, ...) -> (B H, ...)
            chosen = torch.randperm(len(constants), generator=generator)[:heads].sort().values
            saw.append(constants[chosen].cpu())
            futures.append(future[chosen].cpu())
            layers += [each.shape.layer] * len(chosen)
            heads_of.append(chosen % each.shape.num_key_value_heads)
        shape = torch.tensor([each.shape.num_layers, each.shape.num_key_value_heads])
        parts = (torch.cat(saw).float(), torch.cat(futures).float(), torch.tensor(layers), torch.cat(heads_of))
        found.append(Traces(seen, *parts, shape))
    return found


def write_shard(path: Path, traces: Sequence[Traces]) -> None:
    """Writes the traces of one input, as a whole.

    Raises:
        DataError: If the disk refuses.
    """
    tensors: dict[str, Tensor] = {}
    for each in traces:
        parts = {"constants": each.constants, "future": each.future, "layers": each.layers}
        parts |= {} if each.heads is None or each.shape is None else {"heads": each.heads, "shape": each.shape}
        tensors |= {f"{name}.{each.seen}": part for name, part in parts.items()}
    about = {"updates": json.dumps([each.seen for each in traces])}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as fresh:
            fresh.write_bytes(save_tensors({name: each.contiguous() for name, each in tensors.items()}, about))
    except OSError as error:
        raise DataError(f"{path}: {disk_trouble(error)}; earlier shards are kept") from None


def read_shard(path: Path, numbers: int) -> list[Traces]:
    """Reads a shard back.

    Args:
        path: The file.
        numbers: Per token, `Features.num_constants`.

    Raises:
        DataError: If it is damaged, too large, or of other features.
    """
    tensors = read_safetensors(path, error=DataError, expected=_EXPECTED, most=LARGEST)
    found = []
    for name in sorted(name for name in tensors if name.startswith("constants.")):
        number = name.removeprefix("constants.")
        constants, future, layers = tensors[name], tensors.get(f"future.{number}"), tensors.get(f"layers.{number}")
        places, shape = tensors.get(f"heads.{number}"), tensors.get(f"shape.{number}")
        if future is None or layers is None or not number.isdigit() or constants.ndim != 3:
            raise DataError(f"{path}: damaged, expected {_EXPECTED}; remove it and run the command again")
        heads, found_numbers, slots = constants.shape
        if found_numbers != numbers or future.shape != (heads, slots) or layers.shape != (heads,):
            raise DataError(
                f"{path}: traces of shape {tuple(constants.shape)} and {tuple(future.shape)}, expected {numbers} numbers "
                "per token as these features have; remove it and run the command again"
            )
        if (places is None) != (shape is None) or (places is not None and places.shape != (heads,)):
            raise DataError(f"{path}: damaged, expected {_EXPECTED}; remove it and run the command again")
        found.append(Traces(int(number), constants, future, layers, places, shape))
    return sorted(found, key=lambda each: each.seen)
