"""Names of scores: which one a table shows, and in which direction it is better."""

from collections.abc import Iterable

PROBABILITY = "probability"
"""Geometric mean of the probability of the answer's tokens, in (0, 1]."""

NLL = "nll"
"""Mean negative log likelihood of the answer's tokens, in nats; low is good."""

ACCURACY = "accuracy"
"""1 if the right choice is the most likely one (mean per token), else 0."""

GREEDY_MATCH = "greedy_match"
"""1 if every token of the answer is the most likely one under teacher forcing, else 0."""


def lower_is_better(metric: str) -> bool:
    """Whether small values are good: negative log likelihoods, and nothing else."""
    return metric.split("@")[0] == NLL


def headline(metrics: Iterable[str]) -> list[str]:
    """The scores that a table shows: one by likelihood and one by generation, as far as they were computed."""
    names = list(metrics)
    shown = [name for name in (ACCURACY, PROBABILITY, NLL) if name in names][:1]
    generated = [name for name in names if name.startswith("generated_")]
    return [*shown, *generated[:1]] or names[:1]
