"""The scores of a sample, and those that tables show."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from namm_xmodal.config.blame import named
from namm_xmodal.errors import ContractError
from namm_xmodal.language.metrics import (
    METRICS,
    Metric,
    answer_probability,
    by_position,
    choice_accuracy,
    negative_log_likelihood,
    token_probability,
)
from namm_xmodal.language.sample import Sample

POSITION_RANGES = 4
"""Equal stretches of a text whose loss is given apart."""


def choice_scores(log_probabilities: Sequence[Sequence[float]], right: int) -> dict[str, float]:
    """Scores of a choice between continuations, from the log probabilities of their tokens."""
    return {
        "accuracy": choice_accuracy(log_probabilities, right),
        "accuracy_sum": choice_accuracy(log_probabilities, right, by="sum"),
        "answer_probability": answer_probability(log_probabilities[right]),
        "negative_log_likelihood": negative_log_likelihood(log_probabilities[right]),
    }


def answer_scores(log_probabilities: Sequence[float]) -> dict[str, float]:
    """Scores of the right answer's likelihood."""
    return {
        "answer_probability": answer_probability(log_probabilities),
        "negative_log_likelihood": negative_log_likelihood(log_probabilities),
    }


def generated_scores(text: str, sample: Sample) -> dict[str, float]:
    """Scores of generated text, by the answer that it is nearest to.

    Args:
        text: What was generated.
        sample: Whose `generation` says by which metrics; without one, by all that are of every task.
    """
    answers = (sample.answer, *sample.also_right)
    if sample.generation is None:
        of_every_task = {name: each for name, each in METRICS.items() if each.of_text is not None and not each.named}
        return {name: _of_text(metric, text, answers, ()) for name, metric in of_every_task.items()}
    wanted, classes = sample.generation.metrics, sample.generation.classes
    return {name: _of_text(METRICS[name], text, answers, classes) for name in wanted}


def _of_text(metric: Metric, text: str, answers: Sequence[str], classes: Sequence[str]) -> float:
    """What a metric makes of a text; one of a plug-in may raise anything and return anything.

    Raises:
        NammError: With the name of the metric.
    """
    code = metric.of_classes or metric.of_text
    with named(f"metric {metric.name!r}", code):
        value: object
        if metric.of_classes is not None:
            value = metric.of_classes(text, answers, classes)
        else:
            assert metric.of_text is not None
            value = metric.of_text(text, answers)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise ContractError(f"returned {value!r} for the text {text[:60]!r}, expected a finite number")
    return float(value)


def text_scores(log_probabilities: Sequence[float], length: int) -> dict[str, float]:
    """Scores of a text's own tokens: of its second half, and apart for each quarter.

    The second half is what both schedules score, and where policies differ: all of them agree before the first eviction.

    Args:
        log_probabilities: Of the last tokens of the text.
        length: Tokens of the text.
    """
    first = length - len(log_probabilities)
    second_half = log_probabilities[max(length // 2 - first, 0) :]
    edges = [length * i // POSITION_RANGES for i in range(POSITION_RANGES + 1)]
    losses = by_position([-each for each in log_probabilities], edges, first=first)
    return {
        "token_probability": token_probability(second_half),
        "negative_log_likelihood": negative_log_likelihood(second_half),
        **{f"negative_log_likelihood@{label}": loss for label, loss in losses.items()},
    }


def lower_is_better(metric: str) -> bool:
    """Whether small values of a metric are good."""
    known = METRICS.get(metric.split("@")[0])
    return known is not None and not known.higher_is_better


def headline(task: Any, metrics: Iterable[str]) -> list[str]:
    """The scores that tables show for a task: one by likelihood, one by generation, and those that ask for it."""
    names = list(metrics)
    generated = "edit_similarity" if task.name == "code_completion" else "exact_match"  # a whole line is rarely exact
    asked = [name for name in names if name in METRICS and METRICS[name].headline]
    shown = [name for name in dict.fromkeys((task.primary_metric, generated, *asked)) if name in names]
    return shown or names[:1]
