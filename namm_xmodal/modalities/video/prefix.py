"""Reads the common prefix of questions about a video, up to its last frame, once per policy and size."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.memory import Memory
from namm_xmodal.video.tokens import EmbeddedPrompt


@dataclass(frozen=True)
class Prefix:
    """The first tokens of a prompt, as a policy left them. Policies on a clock do not know yet what will be asked.

    Attributes:
        embeddings: (1, N, D) of these tokens.
        position_ids: (..., 1, N).
        cache: After them; to be copied before it is continued.
        seconds: CPU time of reading them.
        shared: Whether other prompts begin with it too; if not, the cache itself is continued, which saves a copy.
    """

    embeddings: Tensor
    position_ids: Tensor
    cache: PrunedCache
    seconds: float
    shared: bool = True

    def begins(self, prompt: EmbeddedPrompt) -> bool:
        """Whether a prompt has the same first tokens, and more of its own."""
        count = self.embeddings.shape[1]
        return (
            count < prompt.length
            and torch.equal(prompt.embeddings[:, :count], self.embeddings)
            and torch.equal(prompt.position_ids[..., :count], self.position_ids)
        )

    def copy(self, memory: Memory) -> PrunedCache:
        """A cache to continue with, which `memory` reports on from now on."""
        memory.last_cache = fork(self.cache) if self.shared else self.cache
        return memory.last_cache


def tokens_after_video(prompt: EmbeddedPrompt) -> int:
    """Tokens after the last frame; 0 if the prompt ends with a frame or has none, so that nothing is asked after it."""
    last = prompt.visual.nonzero()
    return prompt.length - 1 - int(last[-1]) if len(last) else 0


def read_prefix(memory: Memory, prompt: EmbeddedPrompt, *, frozen: bool = False) -> Prefix | None:
    """Reads a prompt up to its last frame.

    Args:
        memory: The pruned model, on a clock or with a full cache: a policy that evicts after prefill must see it whole,
            unless it is not to know the question.
        prompt: The prompt.
        frozen: Whether nothing is evicted after the last frame (schedule `post_context`).

    Returns:
        None if the prompt ends with a frame or has none.
    """
    after = tokens_after_video(prompt)
    if not after:
        return None
    count = prompt.length - after
    began = time.process_time()
    cache = memory.cache()
    inputs = prompt.inputs(0, count)
    with torch.no_grad():
        memory.adapter.forward(memory.model, {**inputs, "logits_to_keep": 1}, cache)
    if frozen:
        cache = fork(cache, frozen=True)
    return Prefix(inputs["inputs_embeds"], inputs["position_ids"], cache, time.process_time() - began)
