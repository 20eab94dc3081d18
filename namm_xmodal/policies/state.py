"""A policy's memory of one layer: buffers that grow, move and are evicted together with the cached tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class _Buffer:
    """What was declared of a buffer: its shape behind the batch (and head) dimension, precision and lifetime."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    window: int | None


class State:
    """Named buffers of one layer.

    A *token* buffer has shape (B, H, C, S): `C` numbers for each slot, slots last. New slots start at zero, evicted
    slots take their numbers with them. A *row* buffer has shape (B, ...): numbers of a batch row as a whole.

    Token buffers are stored with spare room, so that decoding a token writes one column instead of copying the buffer.
    Buffers with a window take no memory while nothing in them can be read again.
    """

    def __init__(
        self,
        batch: int,
        num_key_value_heads: int,
        slots: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
    ) -> None:
        """Makes an empty state for `batch` rows with `slots` slots each; `precision` is that of keys and values."""
        self.batch = batch
        self.heads = num_key_value_heads
        self.slots = slots
        self.device = device
        self.precision = precision
        self._declared: dict[str, _Buffer] = {}
        self._token: dict[str, Tensor] = {}
        self._row: dict[str, Tensor] = {}
        self._of_tokens: set[str] = set()

    # ------------------------------------------------------------------ what policies use
    def add_token_buffer(self, name: str, channels: int, *, narrow: bool = False, window: int | None = None) -> None:
        """Declares a zero (B, H, channels, S) buffer.

        Args:
            name: To find it by.
            channels: Numbers for each slot.
            narrow: Stored as float16 if keys and values are in half precision: for shares of attention and averages of
                them, of which 11 bits do. Otherwise, and always for sums of many numbers, float32.
            window: What was written more than so many tokens ago is never read again. At an update that has the next
                one no nearer than this, the engine gives the memory back; the buffer is zero then.
        """
        self._of_tokens.add(name)
        self._declare(name, (channels,), torch.float16 if narrow else None, window)

    def add_row_buffer(self, name: str, *shape: int, narrow: bool = False, window: int | None = None) -> None:
        """Declares a zero (B, *shape) buffer, if `narrow` in the precision of keys and values; see `add_token_buffer`."""
        self._declare(name, shape, self.precision if narrow else None, window)

    def token(self, name: str) -> Tensor:
        """The (B, H, C, S) buffer; writing into it changes the state."""
        if name not in self._token:
            about = self._declared[name]
            shape = (self.batch, self.heads, *about.shape, self.slots)
            self._token[name] = torch.zeros(shape, dtype=about.dtype, device=self.device)
        return self._token[name][..., : self.slots]

    def row(self, name: str) -> Tensor:
        """The (B, ...) buffer; writing into it changes the state."""
        if name not in self._row:
            about = self._declared[name]
            self._row[name] = torch.zeros(self.batch, *about.shape, dtype=about.dtype, device=self.device)
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

    def release(self, interval: int) -> None:
        """Gives up buffers of which nothing will be read again if the next update is `interval` tokens away."""
        for name, about in self._declared.items():
            if about.window is not None and about.window <= interval:
                self._token.pop(name, None)
                self._row.pop(name, None)

    def of_heads(self, heads: tuple[int, ...], *, rows: bool) -> "State":
        """A copy of the token buffers of some kv heads; the row buffers go with it if `rows`."""
        part = self._like(self.batch, len(heads), self.slots)
        part._token = {name: self.token(name)[:, heads] for name in self._token}
        part._row = self._row if rows else {}
        return part

    def of_lanes(self, others: Sequence["State"], heads: Sequence[list[int]]) -> "State":
        """Undoes `of_heads`: one state of all heads, as wide as the widest part.

        Args:
            others: The other parts; this one, the first, has the row buffers.
            heads: The kv heads of each part.
        """
        parts = [self, *others]
        whole = self._like(self.batch, sum(map(len, heads)), max(part.slots for part in parts))
        whole._row = self._row
        for name in dict.fromkeys(name for part in parts for name in part._token):
            for part, places in zip(parts, heads, strict=True):
                if name in part._token:
                    whole.token(name)[:, places, :, : part.slots] = part.token(name)
        return whole

    def map_rows(self, change: Callable[[Tensor], Tensor]) -> None:
        """Applies `change` to the batch dimension of every buffer (beam reorder, batch select and repeat)."""
        self.batch = change(torch.empty(self.batch, 0, device=self.device)).shape[0]
        self._token = {name: change(buffer[..., : self.slots]) for name, buffer in self._token.items()}
        self._row = {name: change(buffer) for name, buffer in self._row.items()}

    def bare(self) -> "State":
        """A state of as many rows, heads and slots without any buffer, for a cache that no policy reads any more."""
        return State(self.batch, self.heads, self.slots, self.device, self.precision)

    def part(self, rows: Tensor) -> "State":
        """A copy that holds only the batch rows `rows` (int64, 1-D)."""
        part = self._like(len(rows), self.heads, self.slots)
        part._token = {name: self.token(name)[rows] for name in self._token}
        part._row = {name: buffer[rows] for name, buffer in self._row.items()}
        return part

    def write_back(self, part: "State", rows: Tensor) -> None:
        """Copies a `part` taken with the same `rows` back."""
        for name in part._token:
            self.token(name)[rows] = part.token(name)
        for name, buffer in part._row.items():
            self.row(name)[rows] = buffer

    def may_part(self, *, rows: bool, queries: bool) -> bool:
        """Whether kv heads can be watched apart by a policy that reads attention rows, queries or both.

        Not where its tiles or the buffers that they are written to speak of all heads at once.
        """
        if rows:
            return not queries and len(self._declared) == len(self._of_tokens)
        return not queries or not self._of_tokens

    @property
    def num_bytes(self) -> int:
        """Bytes that the buffers occupy, spare room included."""
        return sum(b.numel() * b.element_size() for b in (*self._token.values(), *self._row.values()))

    def _declare(self, name: str, shape: tuple[int, ...], half: torch.dtype | None, window: int | None) -> None:
        dtype = half if half is not None and self.precision in _HALF else torch.float32
        self._declared[name] = _Buffer(shape, dtype, window)
        self._token.pop(name, None)
        self._row.pop(name, None)

    def _like(self, batch: int, heads: int, slots: int) -> "State":
        """An empty state with the same declarations."""
        state = State(batch, heads, slots, self.device, self.precision)
        state._declared, state._of_tokens = self._declared, self._of_tokens
        return state
