"""Reads a prompt once and continues it several times: likelihoods and greedy text from copies of one pruned cache."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.evaluation.greedy import end_of_text, greedy_tokens
from namm_xmodal.language.metrics import first_line
from namm_xmodal.memory import Memory, MemoryReport


@dataclass(frozen=True)
class Prompt:
    """A prompt that was read.

    Attributes:
        ids: (1, N) its tokens.
        cache: What is kept of them.
        logits: (V,) of the token after the prompt.
        report: Sizes of the cache at this moment, when the answer is about to be produced.
    """

    ids: Tensor
    cache: PrunedCache
    logits: Tensor
    report: MemoryReport


@torch.no_grad()
def read_prompt(memory: Memory, ids: list[int]) -> Prompt:
    """Feeds a prompt in one forward; the clock ticks inside it, or once at its end (schedule `post_prefill`)."""
    model: Any = memory.model
    tokens = torch.tensor([ids], device=model.device)
    cache = memory.cache()
    output = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prompt(tokens, cache, output.logits[0, -1].float(), memory.report())


@dataclass(frozen=True)
class Context:
    """A context that was read before any question about it.

    Attributes:
        ids: Its tokens.
        cache: What is kept of them; to be copied before a question is read.
        logits: (V,) of the token after it.
        seconds: CPU time of reading it.
    """

    ids: tuple[int, ...]
    cache: PrunedCache
    logits: Tensor
    seconds: float


@torch.no_grad()
def read_context(memory: Memory, ids: tuple[int, ...], *, frozen: bool) -> Context:
    """Feeds a context in one forward.

    Args:
        memory: The pruned model.
        ids: Tokens of the context.
        frozen: Whether nothing is evicted from it any more (schedule `post_context`).
    """
    began = time.process_time()
    read = read_prompt(memory, list(ids))
    cache = fork(read.cache, frozen=True) if frozen else read.cache
    return Context(ids, cache, read.logits, time.process_time() - began)


@torch.no_grad()
def ask(memory: Memory, context: Context, question: tuple[int, ...]) -> Prompt:
    """Feeds a question to a copy of the cache of its context, in one forward.

    Args:
        memory: The pruned model, which reports on the copy from now on.
        context: What was read; it is not changed.
        question: Tokens of the question.
    """
    model: Any = memory.model
    cache, logits = fork(context.cache), context.logits
    memory.last_cache = cache
    if question:
        given = torch.tensor([question], device=model.device)
        output = model(input_ids=given, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = output.logits[0, -1].float()
    ids = torch.tensor([[*context.ids, *question]], device=model.device)
    return Prompt(ids, cache, logits, memory.report())


@torch.no_grad()
def log_likelihoods(memory: Memory, prompt: Prompt, answer: list[int]) -> list[float]:
    """Log probability of each token of `answer` after the prompt, teacher forced on a copy of its cache.

    Returns:
        One number per token.
    """
    model: Any = memory.model
    logits = prompt.logits[None]  # (1, V)
    if len(answer) > 1:
        given = torch.tensor([answer[:-1]], device=prompt.ids.device)
        output = model(input_ids=given, past_key_values=fork(prompt.cache), use_cache=True)
        logits = torch.cat([logits, output.logits[0].float()])  # (len(answer), V)
    target = torch.tensor(answer, device=logits.device)
    chosen: list[float] = logits.log_softmax(-1).gather(1, target[:, None])[:, 0].tolist()
    return chosen


def greedy_text(memory: Memory, prompt: Prompt, tokenizer: Any, limit: int, *, line: bool = True) -> str:
    """At most `limit` greedy tokens after the prompt, up to the end of a line or of the text, as text.

    Only single tokens are fed, and the prompt is read once, whatever `generation_config` says; see `greedy_tokens`.

    Args:
        memory: The pruned model.
        prompt: What was read; it is not changed.
        tokenizer: Of the model.
        limit: Most tokens.
        line: Whether a line break after some text ends it, which only its first line is then.
    """
    ends = end_of_text(memory.model, tokenizer)

    def ended(made: list[int]) -> bool:
        # A line break before any text is no end.
        return made[-1] in ends or (line and "\n" in tokenizer.decode(made).lstrip())

    made = greedy_tokens(memory, fork(prompt.cache), prompt.logits, limit, ended)
    text: str = tokenizer.decode([token for token in made if token not in ends], skip_special_tokens=True)
    return first_line(text) if line else text
