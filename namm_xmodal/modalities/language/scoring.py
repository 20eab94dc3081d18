"""Scores of one sample under one policy: by the likelihood of the right answer, by greedy text, or token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from namm_xmodal.memory import Memory, MemoryReport
from namm_xmodal.modalities.language.continuation import Context, ask, greedy_text, log_likelihoods, read_prompt
from namm_xmodal.modalities.language.metrics import answer_scores, choice_scores, generated_scores, text_scores
from namm_xmodal.modalities.language.text_loss import text_log_probabilities


@dataclass(frozen=True)
class Outcome:
    """What one policy made of one sample.

    Attributes:
        scores: Metric name to value.
        text: What was generated, empty without generation.
        report: Sizes of the cache when the answer was about to be produced.
        prompt_tokens: Tokens read before the answer.
    """

    scores: dict[str, float]
    text: str
    report: MemoryReport
    prompt_tokens: int


def score_sample(
    memory: Memory,
    tokenizer: Any,
    sample: Any,
    encoded: Any,
    *,
    scoring: Sequence[str],
    generate_tokens: int,
    context: Context | None = None,
    frozen: bool = False,
) -> Outcome:
    """Reads a sample once and scores it.

    Args:
        memory: The pruned model.
        tokenizer: Its tokenizer.
        sample: The sample.
        encoded: Its token ids.
        scoring: `likelihood`, `generate` or both.
        generate_tokens: Most tokens to generate for samples that do not say it themselves.
        context: The sample's, if it was read before; context and question are read in one forward otherwise.
        frozen: Of a text without a question: whether nothing is evicted after its middle.
    """
    if not encoded.answer_ids and not encoded.choice_ids:
        ids = (*encoded.context_ids, *encoded.question_ids)
        scored, report = text_log_probabilities(memory, ids, encoded.prefix_length, frozen=frozen)
        return Outcome(text_scores(scored, len(ids)), "", report, len(ids))
    if context is None:
        prompt = read_prompt(memory, [*encoded.context_ids, *encoded.question_ids])
    else:
        prompt = ask(memory, context, encoded.question_ids)
    scores: dict[str, float] = {}
    text = ""
    own = sample.generation
    if "likelihood" in scoring and own is None:  # else the answer is a reference to compare with, no continuation
        if encoded.choice_ids:
            chosen = [log_likelihoods(memory, prompt, list(choice)) for choice in encoded.choice_ids]
            scores |= choice_scores(chosen, sample.choices.index(sample.answer))
        else:
            scores |= answer_scores(log_likelihoods(memory, prompt, list(encoded.answer_ids)))
    if "generate" in scoring:
        limit, line = (generate_tokens, True) if own is None else (own.tokens, own.line)
        text = greedy_text(memory, prompt, tokenizer, limit, line=line)
        scores |= generated_scores(text, sample)
    return Outcome(scores, text, prompt.report, encoded.prompt_length)
