"""Contract checks for tasks; run them on your own task."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from namm_xmodal.errors import ContractError, NammError
from namm_xmodal.language.metrics import METRICS
from namm_xmodal.language.prompt import EncodedSample, encode
from namm_xmodal.language.sample import Sample, SharesContexts, Task
from namm_xmodal.language.tiny_random import byte_tokenizer

TOLERANCE = 0.02
"""Share by which a prompt may differ from the length in its tags."""


def check_task(task: Task, *, tokenizer: Any = None, n: int = 4, seed: int = 0) -> None:
    """Checks a few samples of a task and raises on the first clause of the contract that it breaks.

    The clauses: *names*, *immutable*, *refuses no samples*, *numbered*, *deterministic*, *prefix-stable*, *answers*,
    *choices*, *generation*, *tags*, *tokens*, *lengths*, *groups*.

    Args:
        task: The task.
        tokenizer: A fast transformers tokenizer; one token per byte if None.
        n: Samples, at least 1; a single one says nothing about prefixes.
        seed: Of the samples.

    Raises:
        ContractError: With the name of the clause and what was found.
        NammError: What the task itself raises, such as a missing source of texts.
    """
    tokenizer = tokenizer or byte_tokenizer()
    _check_class(task)
    _check_refusal(task, seed, tokenizer)
    samples = task.samples(n, seed=seed, tokenizer=tokenizer)
    _hold(task, "numbered", len(samples) == n, f"{len(samples)} samples, asked for {n}")
    for at, sample in enumerate(samples):
        _hold(
            task, "numbered", isinstance(sample, Sample), f"sample {at} is a {type(sample).__name__}, expected a Sample"
        )
        found = (sample.task, sample.index)
        _hold(task, "numbered", found == (task.name, at), f"sample {at} says it is {found}, expected {(task.name, at)}")
    task.samples(1, seed=seed + 1, tokenizer=tokenizer)  # must not matter
    again = task.samples(n, seed=seed, tokenizer=tokenizer)
    _hold(
        task, "deterministic", again == samples, f"sample {_first_change(samples, again)} differs when requested again"
    )
    few = max(1, n - 1)
    fewer = task.samples(few, seed=seed, tokenizer=tokenizer)
    stable = fewer == samples[:few]
    _hold(
        task,
        "prefix-stable",
        stable,
        f"sample {_first_change(samples, fewer)} of {n} differs if only {few} are requested",
    )
    for sample in samples:
        _check_sample(task, sample, encode(sample, tokenizer))
    if isinstance(task, SharesContexts) and (firsts := task.groups(n)) is not None:
        _check_groups(task, list(firsts), samples)


def _check_class(task: Task) -> None:
    missing = [name for name in ("name", "description", "primary_metric", "samples") if not hasattr(task, name)]
    _hold(task, "names", not missing, f"it lacks {', '.join(missing)}")
    known = task.primary_metric in METRICS
    _hold(task, "names", known, f"primary_metric is {task.primary_metric!r}, expected one of {', '.join(METRICS)}")
    parameters: Any = getattr(task, "__dataclass_params__", None)
    frozen = dataclasses.is_dataclass(task) and parameters.frozen
    _hold(task, "immutable", frozen, "make it a frozen dataclass whose fields are its hyper-parameters")


def _check_refusal(task: Task, seed: int, tokenizer: Any) -> None:
    try:
        task.samples(0, seed=seed, tokenizer=tokenizer)
    except NammError:
        return
    _hold(task, "refuses no samples", False, "n=0 was accepted; raise a ConfigError")


def _check_sample(task: Task, sample: Sample, encoded: EncodedSample) -> None:
    place = f"sample {sample.index}"
    _hold(task, "answers", bool(sample.context), f"{place} has no context")
    if sample.choices:
        _hold(task, "choices", sample.answer in sample.choices, f"{place}: {sample.answer!r} is not among its choices")
        _hold(task, "choices", len(set(sample.choices)) == len(sample.choices), f"{place}: a choice is repeated")
    if sample.generation is not None:
        odd = [name for name in sample.generation.metrics if name not in METRICS] or not sample.generation.metrics
        _hold(task, "generation", not odd, f"{place} is to be scored by {odd}, expected some of {', '.join(METRICS)}")
        _hold(task, "generation", sample.generation.tokens > 0, f"{place} generates {sample.generation.tokens} tokens")
    if not sample.answer:
        _hold(task, "answers", not sample.question, f"{place} has a question but no answer")
        _hold(task, "answers", not sample.also_right, f"{place} has other answers, but not the one that is scored")
    _hold(task, "tokens", bool(encoded.answer_ids) == bool(sample.answer), f"{place}: the answer has no tokens")
    empty = [choice for choice, ids in zip(sample.choices, encoded.choice_ids, strict=True) if not ids]
    _hold(task, "tokens", not empty, f"{place}: the choice {empty[:1]} has no tokens")
    try:
        json.dumps(dict(sample.tags))
    except TypeError as error:
        _hold(task, "tags", False, f"{place}: {error}; expected texts and numbers")
    length = sample.tags.get("length")
    if isinstance(length, int):
        own = sample.generation
        said = own.tokens if own is not None and own.counted else 0
        near = abs(encoded.prompt_length + said - length) <= TOLERANCE * length
        found = f"its prompt has {encoded.prompt_length} tokens" + (f", its answer {said}" if said else "")
        _hold(task, "lengths", near, f"{place} says length {length}, {found}")


def _check_groups(task: Any, firsts: list[int], samples: Sequence[Sample]) -> None:
    _hold(task, "groups", len(firsts) == len(samples), f"{len(firsts)} numbers for {len(samples)} samples")
    for at, first in enumerate(firsts):
        earlier = isinstance(first, int) and 0 <= first <= at and firsts[first] == first
        _hold(
            task,
            "groups",
            earlier,
            f"sample {at} is said to share the context of {first!r}; expected the first with it",
        )
        same = samples[first].context == samples[at].context
        _hold(task, "groups", same, f"sample {at} is said to share the context of sample {first}, which is another")
    few = max(1, len(firsts) - 1)
    _hold(
        task, "groups", list(task.groups(few) or ()) == firsts[:few], f"they differ if only {few} samples are requested"
    )


def _first_change(samples: Sequence[Sample], others: Sequence[Sample]) -> int:
    pairs = zip(samples, others, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(samples), len(others)))


def _hold(task: Any, clause: str, holds: bool, found: str) -> None:
    if not holds:
        raise ContractError(f"{type(task).__name__} breaks the clause {clause!r}: {found}")
