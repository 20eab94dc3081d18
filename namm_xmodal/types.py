"""Shapes and small records that all subpackages share.

Tensor dimensions, in the order in which they appear:

=====  ==============================================================
`B`    batch rows
`Hq`   query heads (`num_attention_heads`)
`H`    key-value heads (`num_key_value_heads`); `G = Hq / H`
`Q`    queries of one block or tile
`S`    slots of a layer's cache: live tokens, oldest first, and dead slots
`D`    head dimension
=====  ==============================================================

A *position* is the number of real (unpadded) tokens of the same batch row that came before a token: 0 for a row's first
token. A *slot* is a place in a layer's storage. Heads that keep fewer tokens than the longest head of their layer have
*dead* slots, whose position is -1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

OnProgress = Callable[[int, int, str], None]
"""Receives progress: `on_progress(done, total, what)`."""

OnNotice = Callable[[str], None]
"""Receives notes that are not errors, one line at a time."""

Budget = int | float
"""Cache size: an int is a number of tokens, a float in (0, 1] is a fraction of the tokens seen so far."""

Selection = Literal["ragged", "layer_max"]
"""`ragged`: every head keeps its own number of tokens. `layer_max`: every head of a layer and row keeps as many tokens
as the head that keeps most, its own best ones (what the published NAMM code does)."""

PruningSchedule = Literal["streaming", "post_prefill"]
"""`streaming`: an update whenever a row has seen a multiple of `update_every` tokens, inside prefill and while
decoding. `post_prefill`: one update after each forward of more than one token, so the question is read before anything
is evicted (as SnapKV and most published baselines do)."""

ReadingSchedule = Literal["streaming", "post_context", "post_prefill"]
"""When something with a context and a question is pruned. `streaming`: every `update_every` tokens, while both are read.
`post_context`: once, between them, so that the policy cannot know the question (question-agnostic); nothing more is
evicted. `post_prefill`: once, after both, so that it does (query-aware)."""

ONCE: frozenset[str] = frozenset({"post_context", "post_prefill"})
"""Schedules that prune once instead of periodically."""


def plain(value: Any) -> Any:
    """A NumPy number as a Python number, whose arithmetic does not overflow; anything else unchanged."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


@dataclass(frozen=True)
class LayerShape:
    """Sizes of one attention layer.

    Attributes:
        layer: Index of the layer, 0 the first.
        num_layers: Number of attention layers of the model.
        num_attention_heads: Query heads, `Hq`.
        num_key_value_heads: Key-value heads, `H`.
        head_dim: Size of a key, `D`.
    """

    layer: int
    num_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
