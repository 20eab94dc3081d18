"""Reads a prompt once and continues it several times: likelihoods and greedy text from copies of one pruned cache."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.pruned_cache import PrunedCache
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
    """Feeds a prompt in one forward; the clock ticks inside it, or once at its end (protocol `prompt_end`)."""
    model: Any = memory.model
    tokens = torch.tensor([ids], device=model.device)
    cache = memory.cache()
    output = model(input_ids=tokens, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prompt(tokens, cache, output.logits[0, -1].float(), memory.report())


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


@torch.no_grad()
def greedy_text(memory: Memory, prompt: Prompt, tokenizer: Any, limit: int) -> str:
    """At most `limit` greedy tokens after the prompt, up to the end of a line or of the text, as text.

    The first token comes from the prompt's own logits, so that `generate` feeds single tokens only and the prompt is
    read once: under `prompt_end` a second forward of several tokens would be a second update.
    """
    first = prompt.logits.argmax().reshape(1, 1)
    start = prompt.ids.shape[1]
    ids = torch.cat([prompt.ids, first], dim=1)
    stops = _ends(tokenizer)

    finished = LineEnd(tokenizer, start, stops)
    if limit > 1 and not finished.reached(ids):
        ids = memory.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            past_key_values=fork(prompt.cache),
            max_new_tokens=limit - 1,
            do_sample=False,
            num_beams=1,
            pad_token_id=min(stops, default=0),
            stopping_criteria=StoppingCriteriaList([finished]),
        )
    text: str = tokenizer.decode(ids[0, start:].tolist(), skip_special_tokens=True)
    return first_line(text)


class LineEnd(StoppingCriteria):  # type: ignore[misc]
    """Stops at the end of the first line that is not empty, or at the end-of-text token; answers are one line."""

    def __init__(self, tokenizer: Any, start: int, stops: set[int]) -> None:
        """Remembers where the prompt ends."""
        self.tokenizer, self.start, self.stops = tokenizer, start, stops

    def reached(self, ids: Tensor) -> bool:
        """Whether (1, N) tokens end here."""
        text = self.tokenizer.decode(ids[0, self.start :].tolist())
        return int(ids[0, -1]) in self.stops or "\n" in text.lstrip()  # a line break before any text is no end

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """One bool per row, as transformers asks for it."""
        return torch.tensor([self.reached(input_ids)], device=input_ids.device)


def _ends(tokenizer: Any) -> set[int]:
    return {tokenizer.eos_token_id} - {None}
