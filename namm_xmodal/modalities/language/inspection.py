"""What a policy keeps of one text by token, layer and head, and when it evicted the rest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.layer import PrunedLayer
from namm_xmodal.errors import DataError
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_sizes
from namm_xmodal.memory import pruned
from namm_xmodal.types import ONCE, ReadingSchedule, Selection

KEPT = -1
"""`evicted_at` of a token that is still there."""


@dataclass(frozen=True)
class Inspection:
    """The fate of every token.

    Attributes:
        policy: The policy, in words.
        tokens: Text of each token.
        evicted_at: (layers, kv heads, tokens) int: how many tokens had been seen when the token was evicted, `KEPT` if
            it never was.
        updates: Tokens seen at each update.
    """

    policy: str
    tokens: tuple[str, ...]
    evicted_at: NDArray[np.int64]
    updates: tuple[int, ...]

    def __repr__(self) -> str:
        layers, heads, count = self.evicted_at.shape
        return (
            f"Inspection({self.policy}: {self.kept_fraction:.1%} of {count} tokens in {layers} layers x {heads} heads)"
        )

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(layers, kv heads, tokens): still in the cache after the last token."""
        kept: NDArray[np.bool_] = self.evicted_at == KEPT
        return kept

    @property
    def kept_by_token(self) -> NDArray[np.float64]:
        """(tokens,): share of heads of all layers that still hold the token."""
        share: NDArray[np.float64] = self.kept.mean((0, 1))
        return share

    @property
    def kept_fraction(self) -> float:
        """Over all layers, heads and tokens."""
        return float(self.kept.mean())

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "policy": self.policy,
            "kept_fraction": self.kept_fraction,
            "updates": list(self.updates),
            "tokens": [
                {"text": text, "kept_by": round(float(share), 4)}
                for text, share in zip(self.tokens, self.kept_by_token, strict=True)
            ],
            "evicted_at": self.evicted_at.tolist(),
        }


@torch.no_grad()
def inspect_text(
    model: Any,
    tokenizer: Any,
    policy: Any,
    text: str,
    *,
    update_every: int,
    schedule: ReadingSchedule = "streaming",
    question: str = "",
    protect_first: int = 4,
    protect_recent: int = 8,
    selection: Selection = "ragged",
    limit: int | None = None,
) -> Inspection:
    """Feeds a text and records when each token is evicted.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        policy: The policy, None for the full cache.
        text: The text.
        update_every: Tokens between updates.
        schedule: `streaming`; `post_context` for one update after the text, before the question; or `post_prefill` for one
            after both.
        question: What is read after the text.
        protect_first: Oldest tokens that stay.
        protect_recent: Newest tokens that stay.
        selection: `ragged` or `layer_max`.
        limit: Use at most this many tokens of the text; the question is read whole.

    Raises:
        DataError: If there is no text, or it is shorter than one update.
        ConfigError: If the policy could not keep what it says of it.
    """
    ids: list[int] = tokenizer(text, verbose=False)["input_ids"][
        :limit
    ]  # longer texts than the model's context are cut
    if not text.strip():
        raise DataError(f"text of {len(ids)} tokens: expected a non-empty text")
    context = len(ids)
    if question:
        ids = ids + tokenizer(question, add_special_tokens=False, verbose=False)["input_ids"]
    if schedule == "streaming" and len(ids) < update_every:
        raise DataError(
            f"text of {len(ids)} tokens: shorter than update_every={update_every}, so nothing would be evicted; use a "
            "longer text or a smaller update_every"
        )
    if context < 2:
        raise DataError(f"text of {context} tokens: expected at least 2; use a longer text")
    read = context if schedule == "post_context" else len(ids)
    if policy is not None:
        pruning = Pruning(update_every if schedule == "streaming" else None, protect_first, protect_recent)
        budget = getattr(policy, "budget", getattr(policy, "max_tokens", None))
        check_sizes("--policy", budget, [Reading("the text", read)], pruning)
    # Chunks that end at updates change nothing in the result, and let us look in between.
    stops = [*range(update_every, len(ids), update_every), len(ids)] if schedule == "streaming" else [read, len(ids)]
    settings: dict[str, Any] = {
        "update_every": update_every,
        "schedule": "streaming" if schedule == "streaming" else "post_prefill",
        "selection": selection,
        "protect_first": protect_first,
        "protect_recent": protect_recent,
    }
    evicted: NDArray[np.int64] | None = None
    updates = []
    with pruned(model, policy, **settings) as memory:
        cache = memory.cache()
        start = 0
        for seen in dict.fromkeys(stops):
            chunk = torch.tensor([ids[start:seen]], device=model.device)
            model(input_ids=chunk, past_key_values=cache, use_cache=True, logits_to_keep=1)
            start = seen
            present = np.stack([_present(layer, len(ids)) for layer in cache.pruned])  # (layers, H, tokens)
            if evicted is None:
                evicted = np.full(present.shape, KEPT, dtype=np.int64)
            gone = ~present & (evicted == KEPT)
            gone[..., seen:] = False
            evicted[gone] = seen
            if seen == read if schedule in ONCE else seen % update_every == 0:
                updates.append(seen)
            if schedule == "post_context" and seen == read:
                cache = fork(cache, frozen=True)
    assert evicted is not None
    name = "full cache" if policy is None else str(policy)
    return Inspection(name, tuple(tokenizer.decode([each]) for each in ids), evicted, tuple(updates))


def _present(layer: PrunedLayer, tokens: int) -> NDArray[np.bool_]:
    """(H, tokens): whether each token of the text is in the layer's cache."""
    index = layer.index[0].cpu().numpy()  # (H, S), -1 in dead slots
    present = np.zeros((index.shape[0], tokens + 1), dtype=bool)  # dead slots write into the spare last column
    np.put_along_axis(present, index, True, axis=1)
    return present[:, :tokens]
