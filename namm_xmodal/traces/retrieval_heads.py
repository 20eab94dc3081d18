"""How far back heads attend, by their mean query and mean key: a variant of DuoAttention without training.

A head whose mean query likes its mean key as much a thousand tokens away as next to it retrieves; one that likes it only
nearby, or only at the start, streams. No gradient, no task: one forward pass over each text.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import Tensor

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import DataError
from namm_xmodal.memory.pruned import pruned
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.namm.channels.unrotated_key_novelty import unrotated_keys
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Rotary, Tile
from namm_xmodal.policies.recent_rows import recall, remember
from namm_xmodal.policies.rotation import rotate, unrotate
from namm_xmodal.policies.state import State
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.types import LayerShape
from namm_xmodal.unlabelled.source import UnlabelledInput

SINKS = 4
"""First tokens, whose keys are of another kind in most models and would decide the mean alone."""
_QUERIES = "queries of a text"


class MeanRecorder:
    """Evicts nothing; adds up the queries and keys of whole texts, turned back to position 0.

    Attributes:
        length: Tokens of the text that is read next.
        queries: Layer to (Hq, D) mean queries so far, over texts.
        keys: Layer to (H, D) mean keys.
        rotary: Layer to its rotary embedding, None for layers that do not turn.
        scaling: Layer to the factor of its logits.
        texts: How many texts.
    """

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.length, self.texts = 0, 0
        self.queries: dict[int, Tensor] = {}
        self.keys: dict[int, Tensor] = {}
        self.rotary: dict[int, Rotary | None] = {}
        self.scaling: dict[int, float] = {}

    def read(self, text: UnlabelledInput) -> None:
        """One forward pass."""
        self.length = text.length
        with torch.no_grad(), pruned(text.model, self, update_every=self.length) as memory:
            memory.adapter.forward(text.model, text.inputs, memory.cache())
        self.texts += 1

    @property
    def reads(self) -> Reads:
        """Every query of a text."""
        return Reads(queries=self.length)

    def start(self, state: State, shape: LayerShape) -> None:
        """Room for every query."""
        state.add_row_buffer(_QUERIES, shape.num_attention_heads, self.length, shape.head_dim)

    def observe(self, state: State, tile: Tile) -> None:
        """Remembers queries."""
        assert tile.queries is not None
        remember(state.row(_QUERIES), tile.queries, tile.first)

    def score(self, observation: Observation) -> Tensor:
        """Takes the means of a layer at the end of a text; (B, H, S) zeros."""
        layer, rotary = observation.shape.layer, observation.rotary
        queries = recall(observation.state.row(_QUERIES), observation.seen)[0, :, SINKS:]  # (Hq, T, D)
        if rotary is not None:
            cosines, sines = rotary(torch.arange(SINKS, observation.seen, device=queries.device))
            queries = unrotate(queries, cosines.float(), sines.float())
        counted = observation.positions[0] >= SINKS  # (H, S); sinks do not count
        keys = unrotated_keys(observation)[0] * counted[..., None]
        for means, found in (
            (self.queries, queries.mean(1)),
            (self.keys, keys.sum(1) / counted.sum(-1, keepdim=True).clamp(min=1)),
        ):
            before = means.get(layer, torch.zeros_like(found))
            means[layer] = before + (found - before) / (self.texts + 1)
        self.rotary[layer], self.scaling[layer] = rotary, observation.scaling
        return torch.zeros_like(observation.positions, dtype=torch.float32)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Everything."""
        return candidates.live

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """It never does, but the engine must stop at the end of a text."""
        return seen == self.length

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Any clock."""


def retrieval_scores(texts: Iterable[UnlabelledInput], on_progress: Callable[[int], None], reach: int = 500) -> Tensor:
    """How far back each kv head looks: (L, H), from 0 (at itself alone) to 1 (at the oldest token alone).

    The score is the mean of the cumulated attention, oldest first, of the mean query to `reach` copies of the mean key
    before it; the mean over the query heads of a kv head. An even look back gives 1/2. Deviates from DuoAttention (Xiao et
    al., arXiv 2410.10819), whose gates are optimised on texts with passkeys; this is the quick estimate that NVIDIA's
    kvpress introduced for it, with means over texts without their first four tokens.

    Args:
        texts: Unlabelled inputs of one model.
        on_progress: Called with texts done.
        reach: Copies.

    Raises:
        DataError: If no layer turns its keys by position: then nothing says what is near.
    """
    recorder = MeanRecorder()
    for number, text in enumerate(texts):
        recorder.read(text)
        on_progress(number + 1)
    if all(rotary is None for rotary in recorder.rotary.values()):
        raise DataError(
            "duo_attention: the model has no rotary embedding, so distances cannot be measured; use method: agreement"
        )
    return torch.stack([_looks_back(recorder, layer, reach) for layer in sorted(recorder.keys)])


def _looks_back(recorder: MeanRecorder, layer: int, reach: int) -> Tensor:
    """(H,) scores of a layer."""
    query, key, rotary = recorder.queries[layer], recorder.keys[layer], recorder.rotary[layer]
    groups = query.shape[0] // key.shape[0]
    keys = key[:, None].expand(-1, reach, -1)  # (H, N, D)
    if rotary is not None:
        cosines, sines = (table.float() for table in rotary(torch.arange(reach, device=key.device)))
        keys, query = rotate(keys, cosines, sines), rotate(query, cosines[-1], sines[-1])
    logits = query.unflatten(0, (-1, groups)) @ keys.mT * recorder.scaling[layer]  # (H, G, N)
    areas: Tensor = logits.softmax(-1).cumsum(-1).mean((-2, -1))
    return areas.double().cpu()


def shares_of(scores: Tensor, budget: float, window: float, source: str) -> HeadShares:
    """Heads that retrieve keep everything, the others a window: as many of the former as the budget holds.

    Args:
        scores: (L, H) how far back each head looks.
        budget: Mean share of the tokens seen, above `window`.
        window: Share that the other heads keep.
        source: Where the scores come from.
    """
    order = scores.flatten().argsort(descending=True, stable=True)
    weights = torch.full((scores.numel(),), window, dtype=torch.float64)
    room = (budget - window) * scores.numel()
    whole = int(room / (1 - window))
    weights[order[:whole]] = 1.0
    if whole < len(order):
        weights[order[whole]] += room - whole * (1 - window)  # what is left, so that sizes agree
    return HeadShares.of(weights.view_as(scores), source)


def save_scores(scores: Tensor, path: Path, digest: str) -> None:
    """Writes scores with the digest of everything that decides them."""
    replace_text(path, json.dumps({"digest": digest, "scores": scores.tolist()}) + "\n")


def saved_scores(path: Path, digest: str) -> Tensor | None:
    """What `save_scores` wrote, None if nothing is there.

    Raises:
        DataError: If it is of other settings, or damaged.
    """
    if not path.exists():
        return None
    found = read_json(path, error=DataError, expected="scores of heads; choose another --run", most=8 * MIB)
    try:
        if found["digest"] != digest:
            raise DataError(
                f"{path}: was made with other settings ({found['digest']}, not {digest}); choose another --run"
            )
        scores = torch.tensor(found["scores"], dtype=torch.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged ({error}); remove it, or choose another --run") from None
    if scores.ndim != 2 or not bool(scores.isfinite().all()):
        raise DataError(f"{path}: damaged (no table of finite numbers); remove it, or choose another --run")
    return scores
