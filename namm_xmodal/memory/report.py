"""The size of a pruned cache: live tokens and bytes by layer and head, compared with a full cache."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.cache.state_layer import StateLayer


@dataclass(frozen=True)
class LayerReport:
    """One layer.

    Attributes:
        layer: Its index.
        kept: Live tokens of each batch row and kv head, `[B][H]`.
        slots: Slots of the longest head, live and dead, without spare room.
        live_bytes: Keys and values of live tokens.
        allocated_bytes: Keys, values and indices as allocated, dead slots and spare room included; without the state.
        state_bytes: The policy's own buffers.
        full_bytes: Keys and values of a cache that evicts nothing (padding included, as in any dense cache).
    """

    layer: int
    kept: tuple[tuple[int, ...], ...]
    slots: int
    live_bytes: int
    allocated_bytes: int
    state_bytes: int
    full_bytes: int


@dataclass(frozen=True)
class MemoryReport:
    """A whole cache; `str()` has a line for each layer, `summary` one line in all.

    Attributes:
        policy: Name of the policy.
        seen: Real tokens that each batch row has seen.
        layers: One entry per layer that keeps keys and values of its own.
        recurrent_bytes: Recurrent and convolution states of hybrid models. They do not grow with the text and are never
            pruned, so neither `allocated_bytes` nor `full_bytes` counts them; the whole cache takes both kinds.
    """

    policy: str
    seen: tuple[int, ...]
    layers: tuple[LayerReport, ...]
    recurrent_bytes: int = 0

    @property
    def live(self) -> list[list[list[int]]]:
        """Live tokens as `[layer][row][kv head]`."""
        return [[list(row) for row in layer.kept] for layer in self.layers]

    @property
    def kept_fraction(self) -> float:
        """Live tokens divided by tokens seen, averaged over layers, rows and kv heads; 1.0 for an empty cache."""
        fractions = [
            count / seen
            for layer in self.layers
            for row, seen in zip(layer.kept, self.seen, strict=True)
            for count in row
            if seen
        ]
        return sum(fractions) / len(fractions) if fractions else 1.0

    @property
    def live_bytes(self) -> int:
        """Bytes of live keys and values."""
        return sum(layer.live_bytes for layer in self.layers)

    @property
    def allocated_bytes(self) -> int:
        """Bytes allocated for keys, values, indices and policy buffers; see `recurrent_bytes` for what hybrids add."""
        return sum(layer.allocated_bytes + layer.state_bytes for layer in self.layers)

    @property
    def state_bytes(self) -> int:
        """Bytes of the policy's buffers, which are among the allocated ones."""
        return sum(layer.state_bytes for layer in self.layers)

    @property
    def full_bytes(self) -> int:
        """Bytes of keys and values of a cache that evicts nothing."""
        return sum(layer.full_bytes for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        return {
            "policy": self.policy,
            "seen": list(self.seen),
            "kept_fraction": self.kept_fraction,
            "live_bytes": self.live_bytes,
            "allocated_bytes": self.allocated_bytes,
            "state_bytes": self.state_bytes,
            "full_bytes": self.full_bytes,
            "recurrent_bytes": self.recurrent_bytes,
            "live": self.live,
        }

    @property
    def summary(self) -> str:
        """One line about the whole cache."""
        beside = f"; {_megabytes(self.recurrent_bytes)} of recurrent states beside" if self.recurrent_bytes else ""
        return (
            f"{self.policy}: keeps {self.kept_fraction:.1%} of {max(self.seen, default=0)} tokens; "
            f"{_megabytes(self.allocated_bytes)} allocated instead of {_megabytes(self.full_bytes)} for a full cache "
            f"({_megabytes(self.live_bytes)} of kept tokens, {_megabytes(self.state_bytes)} of the policy's own state)"
            f"{beside}"
        )

    def __str__(self) -> str:
        """The summary, then a line for each run of layers that keep the same; a batch row's heads are joined by `/`."""
        lines = [self.summary]
        for what, alike in groupby(self.layers, key=_what_it_holds):
            first, *others = (layer.layer for layer in alike)
            which = f"layers {first} to {others[-1]}, each" if others else f"layer {first}"
            lines.append(f"  {which}: {what}")
        return "\n".join(lines)


def _what_it_holds(layer: LayerReport) -> str:
    heads = " ".join("/".join(str(count) for count in row) for row in layer.kept)
    allocated = _megabytes(layer.allocated_bytes + layer.state_bytes)
    return f"{heads} tokens, {_megabytes(layer.live_bytes)} of {allocated} allocated"


def report_on(cache: PrunedCache, policy: str) -> MemoryReport:
    """Reads a cache's sizes.

    Args:
        cache: The cache.
        policy: Name to print.
    """
    layers = []
    seen: tuple[int, ...] = ()
    for layer in cache.pruned:
        if layer.keys is None or layer.values is None:
            continue
        kept = layer.kept
        per_token = (
            layer.keys.shape[-1] * layer.keys.element_size() + layer.values.shape[-1] * layer.values.element_size()
        )
        batch, heads = kept.shape
        seen = layer.tokens_seen
        layers.append(
            LayerReport(
                layer=layer.layer,
                kept=tuple(tuple(int(n) for n in row) for row in kept.tolist()),
                slots=layer.slots,
                live_bytes=int(kept.sum()) * per_token,
                allocated_bytes=layer.num_bytes,
                state_bytes=layer.state_bytes,
                full_bytes=batch * heads * layer.seen * per_token,
            )
        )
    recurrent = sum(layer.recurrent_bytes for layer in cache.layers if isinstance(layer, StateLayer))
    return MemoryReport(policy, seen, tuple(layers), recurrent)


def _megabytes(count: int) -> str:
    return f"{count / 2**20:.2f} MiB"
