"""One question under one policy: the prompt is read once, options are compared on copies of what is kept."""

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from namm_xmodal.cache.fork import fork
from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.evaluation.greedy import end_of_text, greedy_tokens
from namm_xmodal.evaluation.modality import Item
from namm_xmodal.memory import Memory, MemoryReport
from namm_xmodal.modalities.video.prefix import Prefix
from namm_xmodal.video.benchmarks.question import VideoQuestion
from namm_xmodal.video.tokens import EmbeddedPrompt


@dataclass(frozen=True)
class Answer:
    """The outcome of a question under a policy.

    Attributes:
        log_likelihoods: Of each option, summed over its tokens.
        lengths: Tokens of each option.
        text: What was generated, empty without generation.
        report: Sizes of the cache when the answer is produced.
        kept_visual: Visual tokens still held then, averaged over layers and heads.
        prefill_seconds: CPU time of reading the prompt.
        decode_seconds: CPU time of comparing options and generating.
    """

    log_likelihoods: tuple[float, ...]
    lengths: tuple[int, ...]
    text: str
    report: MemoryReport
    kept_visual: float
    prefill_seconds: float
    decode_seconds: float

    def scores(self, normalise: str) -> list[float]:
        """Of each option: the sum of its log probabilities, or their mean."""
        if normalise == "sum":
            return list(self.log_likelihoods)
        return [total / length for total, length in zip(self.log_likelihoods, self.lengths, strict=True)]


@torch.no_grad()
def answer(
    memory: Memory,
    prompt: EmbeddedPrompt,
    tokenizer: Any = None,
    generate_tokens: int = 0,
    prefix: Prefix | None = None,
) -> Answer:
    """Reads a prompt and scores its options.

    Args:
        memory: The pruned model.
        prompt: The prompt.
        tokenizer: For generated text.
        generate_tokens: Most tokens to generate; 0 for none.
        prefix: First tokens of this prompt that were read before, under the same policy with the same room. Their CPU time
            counts as if they had been read for this prompt alone.
    """
    began = time.process_time()
    start = 0 if prefix is None else prefix.embeddings.shape[1]
    cache = memory.cache() if prefix is None else prefix.copy(memory)
    inputs = {**prompt.inputs(start), "logits_to_keep": 1}
    last = memory.adapter.forward(memory.model, inputs, cache)[0, -1].float()  # (V,)
    read = time.process_time()
    before = 0.0 if prefix is None else prefix.seconds
    report, kept = memory.report(), kept_visual(cache, prompt.visual)
    likelihoods = _likelihoods(memory, cache, prompt, last)
    text = _greedy(memory, cache, prompt, last, tokenizer, generate_tokens) if generate_tokens else ""
    lengths = tuple(len(candidate) for candidate in prompt.candidates)
    return Answer(likelihoods, lengths, text, report, kept, before + read - began, time.process_time() - read)


def kept_visual(cache: PrunedCache, visual: Tensor) -> float:
    """Visual tokens that a cache holds, averaged over layers and heads.

    Args:
        cache: After the prompt.
        visual: (N,) bool, which tokens of the prompt are visual.
    """
    counts = []
    for layer in cache.pruned:
        index = layer.index[0].cpu()  # (H, S), -1 in dead slots
        counts.append((visual[index.clamp(min=0)] & (index >= 0)).sum(-1).float().mean())
    return float(torch.stack(counts).mean())


def _likelihoods(memory: Memory, cache: PrunedCache, prompt: EmbeddedPrompt, last: Tensor) -> tuple[float, ...]:
    first = last.log_softmax(-1)
    totals = [float(first[candidate[0]]) for candidate in prompt.candidates]
    longest = max(len(candidate) for candidate in prompt.candidates)
    if longest == 1:
        return tuple(totals)
    # All options at once on one pruned cache, repeated; what pads the shorter ones comes after their own tokens.
    rows = [(*candidate, *([0] * (longest - len(candidate)))) for candidate in prompt.candidates]
    ids = torch.tensor([row[:-1] for row in rows], device=prompt.embeddings.device)
    forked = fork(cache)
    forked.batch_repeat_interleave(len(rows))
    inputs = {"input_ids": ids, "position_ids": prompt.following(0, *ids.shape)}
    logits = memory.adapter.forward(memory.model, inputs, forked).float().log_softmax(-1)
    for row, candidate in enumerate(prompt.candidates):
        totals[row] += sum(float(logits[row, at, token]) for at, token in enumerate(candidate[1:]))
    return tuple(totals)


def _greedy(
    memory: Memory, cache: PrunedCache, prompt: EmbeddedPrompt, last: Tensor, tokenizer: Any, limit: int
) -> str:
    """Greedy tokens up to the end of the text, as text."""
    ends = end_of_text(memory.model, tokenizer)
    made = greedy_tokens(memory, fork(cache), last, limit, lambda so_far: so_far[-1] in ends, prompt.following)
    text: str = tokenizer.decode([token for token in made if token not in ends], skip_special_tokens=True)
    return text.strip()


def judge(
    question: VideoQuestion, found: Answer, normalise: str, generated: bool, parsed: int | None
) -> tuple[dict[str, float], int]:
    """Scores of an answer, and the option that is most likely.

    Args:
        question: What was asked.
        found: Likelihoods of the options.
        normalise: `sum` or `mean` over the tokens of an option.
        generated: Whether an answer was generated too.
        parsed: The option that it names.
    """
    values = np.array(found.scores(normalise))
    chosen = int(values.argmax())
    if question.answer is None:
        return {}, chosen
    shares = np.exp(values - values.max())
    scores = {
        "accuracy": float(chosen == question.answer),
        "answer_probability": float(shares[question.answer] / shares.sum()),
    }
    if generated:
        scores["generated_accuracy"] = float(parsed == question.answer)
    return scores, chosen


def evidence_place(item: Item, frames: int) -> Item:
    """The item with the third of the video in which its evidence lies, where the benchmark tells."""
    evidence = item.content.evidence
    if not evidence or frames <= 1:
        return item
    place = min(1.0, float(np.mean(evidence)) / (frames - 1))
    return replace(item, tags={**item.tags, "evidence": ("early", "middle", "late")[min(2, int(3 * place))]})
