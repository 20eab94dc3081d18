"""Greedy decoding for scores: always the most likely token, whatever a checkpoint's generation settings are.

`model.generate` fills all that a call leaves open from the checkpoint's `generation_config`: penalties, beams, another
kind of cache, no cache at all. What is scored must not depend on that, so scores are decoded here, token by token.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.memory import Memory


def end_of_text(model: Any, tokenizer: Any) -> list[int]:
    """Ids that end a text: the tokenizer's, and those of the checkpoint's `generation_config`, which gives one or a list.

    Nothing else is taken from `generation_config`.

    Args:
        model: A transformers model.
        tokenizer: Its tokenizer.
    """
    given = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = [tokenizer.eos_token_id, *(given if isinstance(given, list | tuple) else [given])]
    return sorted({token for token in ids if isinstance(token, int)})


def greedy_tokens(
    memory: Memory,
    cache: PrunedCache,
    logits: Tensor,
    limit: int,
    ended: Callable[[list[int]], bool],
    positions: Callable[[int], Tensor] | None = None,
) -> list[int]:
    """The likeliest continuation of what a cache of one row holds, one token at a time; see `greedy_rows`.

    Args:
        memory: The pruned model.
        cache: After the prompt; it is continued.
        logits: (V,) of the token after the prompt.
        limit: Most tokens, at least 1.
        ended: Whether the tokens so far are a complete answer.
        positions: `position_ids` of one new token by its number, for models whose positions are not those of the cache.

    Returns:
        At most `limit` tokens, the one that ended the answer included.
    """
    (made,) = greedy_rows(memory, cache, logits[None], limit, ended, positions)
    return made


@torch.no_grad()
def greedy_rows(
    memory: Memory,
    cache: PrunedCache,
    logits: Tensor,
    limit: int,
    ended: Callable[[list[int]], bool],
    positions: Callable[[int], Tensor] | None = None,
) -> list[list[int]]:
    """The likeliest continuation of every row of a cache, whose prompts have as many tokens.

    The first token comes from the logits that the prompt left behind, so only single tokens are fed: under
    `post_prefill` a forward of several tokens would be another update. A row that has ended is fed its last token until
    all have.

    Args:
        memory: The pruned model.
        cache: After the prompts; it is continued.
        logits: (B, V) of the token after each prompt.
        limit: Most tokens of a row, at least 1.
        ended: Whether the tokens of a row so far are a whole answer.
        positions: See `greedy_tokens`.

    Returns:
        For each row at most `limit` tokens, the one that ended the answer included.
    """
    made = [[token] for token in logits.argmax(-1).tolist()]
    done = [ended(row) for row in made]
    for count in range(1, limit):
        if all(done):
            break
        inputs = {"input_ids": torch.tensor([row[-1:] for row in made], device=logits.device)}
        if positions is not None:
            inputs["position_ids"] = positions(count - 1)
        newest = memory.adapter.forward(memory.model, inputs, cache)[:, -1].argmax(-1).tolist()
        for row, token in enumerate(newest):
            if not done[row]:
                made[row].append(token)
                done[row] = ended(made[row])
    return made
