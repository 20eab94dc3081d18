"""Next-token loss of a text while a policy evicts earlier tokens."""

from typing import Any

import torch
from torch import Tensor

from namm_xmodal.cache.fork import fork
from namm_xmodal.memory import Memory, MemoryReport

CHUNK = 512
"""Tokens whose logits are held at once: 512 x 49,152 float32 are 100 MB. Chunks change no result."""


@torch.no_grad()
def text_log_probabilities(
    memory: Memory, ids: tuple[int, ...], prefix: int, *, frozen: bool = False
) -> tuple[list[float], MemoryReport]:
    """Log probability of each token of a text, given what the policy kept of those before it.

    Under `streaming` the text is simply read. Under schedules that prune once, its first half is read, pruned, and only the
    second half is scored, since nothing would be evicted before the last token otherwise.

    Args:
        memory: The pruned model.
        ids: The text, special tokens in front included.
        prefix: Number of those special tokens; they are not scored.
        frozen: Whether nothing is evicted after the first half (`post_context`), so that the second may come in chunks.

    Returns:
        A number for each scored token, the last of them for the last token of the text; and the cache's sizes after it
        (if it is pruned once: when scoring starts).
    """
    model: Any = memory.model
    tokens = torch.tensor([ids], device=model.device)
    cache = memory.cache()
    at_end = memory.settings.clock.schedule == "post_prefill"
    start = len(ids) // 2 if at_end else 0
    parts: list[Tensor] = []
    report = None
    if start:
        output = model(input_ids=tokens[:, :start], past_key_values=cache, use_cache=True, logits_to_keep=1)
        parts.append(_chosen(output.logits[0], tokens[0, start : start + 1]))
        report = memory.report()
    if frozen:
        cache = fork(cache, frozen=True)
    # Unless the cache is frozen, a second forward of several tokens would be a second update.
    step = len(ids) if at_end and not frozen else CHUNK
    for first in range(start, len(ids) - 1, step):
        last = min(first + step, len(ids) - 1)
        output = model(input_ids=tokens[:, first:last], past_key_values=cache, use_cache=True)
        parts.append(_chosen(output.logits[0], tokens[0, first + 1 : last + 1]))
    scored = torch.cat(parts).tolist()
    # Without a special token in front the first token has nothing to be predicted from; with several, theirs are known.
    unscored = 0 if at_end else max(prefix - 1, 0)
    return scored[unscored:], report or memory.report()


def _chosen(logits: Tensor, targets: Tensor) -> Tensor:
    """(Q, V) logits and (Q,) targets -> (Q,) log probabilities."""
    return logits.float().log_softmax(-1).gather(1, targets[:, None])[:, 0].cpu()
