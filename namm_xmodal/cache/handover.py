"""From a layer to later ones that attend to its keys and values instead of their own (Gemma 3n, Gemma 4 E2B and E4B).

A source layer evicts several times in one forward, long before the layers that reuse it are called. They must see what its
own queries saw: block by block, the tokens held before the eviction at the block's end. The last block's storage is still
there. Earlier ones are put together again from the tokens at the start of the forward, those that came with it, and a note
of which of them each block held.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from namm_xmodal.cache.clock import Block
from namm_xmodal.cache.lane import Lane, merged


@dataclass(frozen=True)
class Held:
    """What a layer held while a block attended.

    Attributes:
        block: The block.
        untouched: Nothing had been evicted.
        lanes: Heads, (B, h, S) int32 original indices, and whether there may be dead slots, of each lane.
    """

    block: Block
    untouched: bool
    lanes: tuple[tuple[tuple[int, ...], Tensor, bool], ...]


class Handover:
    """One forward of a source layer, for its readers.

    Attributes:
        incoming: (B, H, n, D) keys and values that the model hands to the readers: those of the new tokens.
        blocks: What was held, block by block.
        readers: Layers that have not read yet.
    """

    def __init__(self, lanes: Sequence[Lane], incoming: tuple[Tensor, Tensor], seen: int, readers: int) -> None:
        """Before the first block is appended.

        Args:
            lanes: What the layer holds at the start of the forward.
            incoming: See the class.
            seen: Tokens before the forward.
            readers: Layers that will read.
        """
        self.incoming, self.readers = incoming, readers
        self.blocks: list[Held] = []
        self._newest: list[Lane] = []
        self._seen = seen
        # Views: later tokens are written behind them or elsewhere, and evictions leave them as they are.
        self._past = [lane.view() for lane in lanes]

    def note(self, block: Block, lanes: Sequence[Lane], untouched: bool) -> None:
        """Notes what a layer holds, the block's tokens appended and nothing evicted at its end yet."""
        self._newest = [lane.view() for lane in lanes]
        self.blocks.append(
            Held(block, untouched, tuple((lane.heads, lane.stored_index, lane.has_dead) for lane in self._newest))
        )

    def lanes(self, number: int) -> list[Lane]:
        """What the layer held during a block, as it was stored; shorter heads end in dead slots.

        Args:
            number: Of the block.
        """
        if number == len(self.blocks) - 1:
            return self._newest
        keys, values, place = self._whole
        found = []
        for heads, index, has_dead in self.blocks[number].lanes:
            some = list(heads)
            at = place[:, some].gather(-1, index.long() % place.shape[-1])[
                ..., None
            ]  # -1, a dead slot, is the last column
            store = [each[:, some].gather(2, at.expand(-1, -1, -1, each.shape[-1])) for each in (keys, values)]
            found.append(Lane(heads, [*store, index], None, has_dead))
        return found

    @cached_property
    def _whole(self) -> tuple[Tensor, Tensor, Tensor]:
        """Keys and values of all tokens that any block may have held, and the place of each by original index.

        (B, H, P + n, D) twice, the P slots at the start of the forward first, and (B, H, T + 1), where dead slots share the
        last column.
        """
        past, (keys, values) = merged(self._past), self.incoming
        new = torch.arange(self._seen, self._seen + keys.shape[2], device=keys.device)
        index = torch.cat([past.index, new.expand(*past.index.shape[:2], -1)], 2)  # (B, H, P + n)
        total = self._seen + keys.shape[2]
        slots = torch.arange(index.shape[2], device=keys.device).expand(index.shape)
        place = slots.new_zeros(*index.shape[:2], total + 1).scatter_(-1, index % (total + 1), slots)
        return torch.cat([past.keys, keys], 2), torch.cat([past.values, values], 2), place
