"""Reads prompts once and continues them several times: likelihoods and greedy text from copies of one pruned cache."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.evaluation.greedy import end_of_text, greedy_rows
from namm_xmodal.language.metrics import first_line
from namm_xmodal.memory import Memory, MemoryReport


@dataclass(frozen=True)
class Prompt:
    """A prompt that was read, or several of equal length.

    Attributes:
        ids: (B, N) the tokens.
        cache: What is kept of them.
        logits: (B, V) of the token after each prompt.
        report: Sizes of the cache at this moment, when the answer is about to be produced.
    """

    ids: Tensor
    cache: PrunedCache
    logits: Tensor
    report: MemoryReport


@dataclass(frozen=True)
class Continued:
    """A given continuation of a prompt.

    Attributes:
        log_probabilities: One number per token.
        greedy: Whether each token is the likeliest at its place.
    """

    log_probabilities: list[float]
    greedy: bool


def read_prompt(memory: Memory, ids: list[int]) -> Prompt:
    """`read_prompts` of one."""
    return read_prompts(memory, [ids])


@dataclass(frozen=True)
class Context:
    """A context that was read before any question about it.

    Attributes:
        ids: Its tokens.
        cache: What is kept of them; to be copied before a question is read.
        logits: (1, V) of the token after it.
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
        logits = output.logits[:, -1].float()
    ids = torch.tensor([[*context.ids, *question]], device=model.device)
    return Prompt(ids, cache, logits, memory.report())


@torch.no_grad()
def read_prompts(memory: Memory, rows: Sequence[Sequence[int]]) -> Prompt:
    """Feeds prompts in one forward; the clock ticks inside it, or once at its end (schedule `post_prefill`).

    Args:
        memory: The pruned model.
        rows: Token ids of each prompt, equally many: without padding, every row is read as if it were alone, whatever the
            model and the policy are.
    """
    model: Any = memory.model
    tokens = torch.tensor([list(row) for row in rows], device=model.device)
    cache = memory.cache()
    output = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prompt(tokens, cache, output.logits[:, -1].float(), memory.report())


def log_likelihoods(memory: Memory, prompt: Prompt, answer: list[int]) -> list[float]:
    """Log probability of each token of `answer` after one prompt; see `continuations`."""
    (only,) = continuations(memory, prompt, [(0, answer)])
    return only.log_probabilities


@torch.no_grad()
def continuations(memory: Memory, prompt: Prompt, answers: Sequence[tuple[int, Sequence[int]]]) -> list[Continued]:
    """Scores answers, teacher forced on a copy of what was kept of the prompts, in one forward.

    Shorter answers are filled up behind their end. What stands there changes nothing before it: neither attention nor an
    update looks ahead.

    Args:
        memory: The pruned model.
        prompt: One or more.
        answers: The row of `prompt` that each answer follows, and its tokens, at least one.
    """
    model: Any = memory.model
    rows, longest = [row for row, _ in answers], max(len(answer) for _, answer in answers)
    logits = prompt.logits[rows][:, None]  # (A, 1, V)
    if longest > 1:
        given = [[*answer[:-1], *[answer[-1]] * (longest - len(answer))] for _, answer in answers]
        cache = fork(prompt.cache)
        if rows != list(range(len(prompt.ids))):
            cache.batch_select_indices(torch.tensor(rows, device=prompt.ids.device))
        tokens = torch.tensor(given, device=prompt.ids.device)
        output = model(input_ids=tokens, past_key_values=cache, use_cache=True)
        logits = torch.cat([logits, output.logits.float()], dim=1)  # (A, longest, V)
    found = []
    for (_, answer), each in zip(answers, logits, strict=True):
        target = torch.tensor(answer, device=logits.device)
        said = each[: len(answer)]  # (tokens of the answer, V)
        chosen: list[float] = said.log_softmax(-1).gather(1, target[:, None])[:, 0].tolist()
        found.append(Continued(chosen, bool((said.argmax(-1) == target).all())))
    return found


def greedy_text(memory: Memory, prompt: Prompt, tokenizer: Any, limit: int, *, line: bool = True) -> str:
    """At most `limit` greedy tokens after one prompt, up to the end of a line or of the text, as text.

    Args:
        memory: The pruned model.
        prompt: What was read; it is not changed.
        tokenizer: Of the model.
        limit: Most tokens.
        line: Whether a line break after some text ends it, which only its first line is then.
    """
    # A line break before any text is no end.
    (text,) = greedy_texts(memory, prompt, tokenizer, limit, lambda made: line and "\n" in made.lstrip())
    return first_line(text) if line else text


def greedy_texts(
    memory: Memory, prompt: Prompt, tokenizer: Any, limit: int, stopped: Callable[[str], bool]
) -> list[str]:
    """At most `limit` greedy tokens after each prompt, as text.

    Only single tokens are fed, and the prompts are read once, whatever `generation_config` says; see `greedy_rows`.

    Args:
        memory: The pruned model.
        prompt: One or more.
        tokenizer: The model's.
        limit: Most tokens of each, at least 1.
        stopped: Whether a text, special tokens written out, is long enough.
    """
    ends = end_of_text(memory.model, tokenizer)

    def ended(made: list[int]) -> bool:
        return made[-1] in ends or stopped(tokenizer.decode(made))

    made = greedy_rows(memory, fork(prompt.cache), prompt.logits, limit, ended)
    return [tokenizer.decode([token for token in row if token not in ends], skip_special_tokens=True) for row in made]
