"""A policy's memory of one layer: buffers that grow, move and leave together with the cached tokens."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class State:
    """Named float32 buffers of one layer.

    A *token* buffer has shape (B, H, C, S): `C` numbers for each slot, slots last. New slots start at zero, evicted slots
    take their numbers with them. A *row* buffer has shape (B, ...): numbers of a batch row as a whole.

    Token buffers are stored with spare room, so that decoding a token writes one column instead of copying the buffer.
    """

    def __init__(self, batch: int, num_key_value_heads: int, slots: int, device: torch.device) -> None:
        """Makes an empty state for `batch` rows with `slots` slots each."""
        self.batch = batch
        self.heads = num_key_value_heads
        self.slots = slots
        self.device = device
        self._token: dict[str, Tensor] = {}
        self._row: dict[str, Tensor] = {}

    # ------------------------------------------------------------------ what policies use
    def add_token_buffer(self, name: str, channels: int) -> None:
        """Declares a zero (B, H, channels, S) buffer."""
        self._token[name] = torch.zeros(self.batch, self.heads, channels, self.slots, device=self.device)

    def add_row_buffer(self, name: str, *shape: int) -> None:
        """Declares a zero (B, *shape) buffer."""
        self._row[name] = torch.zeros(self.batch, *shape, device=self.device)

    def token(self, name: str) -> Tensor:
        """The (B, H, C, S) buffer; writing into it changes the state."""
        return self._token[name][..., : self.slots]

    def row(self, name: str) -> Tensor:
        """The (B, ...) buffer; writing into it changes the state."""
        return self._row[name]

    # ------------------------------------------------------------------ what the cache uses
    def grow(self, count: int, spare: int = 0) -> None:
        """Appends `count` zero slots; when the room runs out, makes room for `spare` more."""
        stop = self.slots + count
        for name, buffer in self._token.items():
            if stop <= buffer.shape[-1]:
                buffer[..., self.slots : stop] = 0
            else:
                larger = buffer.new_zeros(*buffer.shape[:-1], stop + spare)
                larger[..., : self.slots] = buffer[..., : self.slots]
                self._token[name] = larger
        self.slots = stop

    def gather(self, order: Tensor) -> None:
        """Keeps the slots `order` (B, H, S') names, in that order."""
        for name in self._token:
            kept = self.token(name)
            self._token[name] = kept.gather(-1, order[:, :, None].expand(-1, -1, kept.shape[2], -1))
        self.slots = order.shape[-1]

    def of_heads(self, heads: tuple[int, ...], *, rows: bool) -> "State":
        """A copy of the token buffers of some kv heads; the row buffers go with it if `rows`."""
        part = State(self.batch, len(heads), self.slots, self.device)
        part._token = {name: self.token(name)[:, heads] for name in self._token}
        part._row = self._row if rows else {}
        return part

    @classmethod
    def of_lanes(cls, parts: Sequence["State"], heads: Sequence[list[int]]) -> "State":
        """Undoes `of_heads`: one state of all heads, as wide as the widest part.

        Args:
            parts: The first has the row buffers.
            heads: The kv heads of each part.
        """
        first = parts[0]
        whole = cls(first.batch, sum(map(len, heads)), max(part.slots for part in parts), first.device)
        whole._row = first._row
        for name, buffer in first._token.items():
            whole._token[name] = buffer.new_zeros(first.batch, whole.heads, buffer.shape[2], whole.slots)
            for part, places in zip(parts, heads, strict=True):
                whole._token[name][:, places, :, : part.slots] = part.token(name)
        return whole

    def map_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        """Applies `change` to the batch dimension of every buffer (beam reorder, batch select and repeat)."""
        self._token = {name: change(buffer[..., : self.slots]) for name, buffer in self._token.items()}
        self._row = {name: change(buffer) for name, buffer in self._row.items()}
        for buffer in (*self._token.values(), *self._row.values()):
            self.batch = buffer.shape[0]

    def part(self, rows: Tensor) -> "State":
        """A copy that holds only the batch rows `rows` (int64, 1-D)."""
        part = State(len(rows), self.heads, self.slots, self.device)
        part._token = {name: self.token(name)[rows] for name in self._token}
        part._row = {name: buffer[rows] for name, buffer in self._row.items()}
        return part

    def write_back(self, part: "State", rows: Tensor) -> None:
        """Copies a `part` taken with the same `rows` back."""
        for name in self._token:
            self.token(name)[rows] = part.token(name)
        for name, buffer in self._row.items():
            buffer[rows] = part._row[name]

    @property
    def has_tokens(self) -> bool:
        """Whether there are token buffers."""
        return bool(self._token)

    @property
    def has_rows(self) -> bool:
        """Whether there are row buffers."""
        return bool(self._row)

    @property
    def num_bytes(self) -> int:
        """Bytes that the buffers occupy, spare room included."""
        return sum(b.numel() * b.element_size() for b in (*self._token.values(), *self._row.values()))
