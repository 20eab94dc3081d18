"""Training samples of one task for one tokenizer: made and encoded once, drawn without replacement."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from namm_xmodal.errors import DataError
from namm_xmodal.language.prompt import encode


@dataclass(frozen=True)
class TrainingSample:
    """Token ids of one sample.

    Attributes:
        prompt: What is read before the answer; for a text that is scored itself, its first half.
        answer: What is scored.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


class SamplePool:
    """The training samples of a task."""

    def __init__(
        self,
        task: Any,
        tokenizer: Any,
        size: int,
        seed: int,
        update_every: int,
        label: str,
        context: int | None = None,
    ) -> None:
        """Makes and encodes the samples.

        Raises:
            DataError: If a sample is too short to be pruned before its answer, or longer than the model's `context`.
        """
        self.samples = [_encoded(sample, tokenizer) for sample in task.samples(size, seed=seed, tokenizer=tokenizer)]
        longest = max(len(sample.prompt) + len(sample.answer) for sample in self.samples)
        if context is not None and longest > context:
            raise DataError(
                f"tasks.{label}: a sample has {longest} tokens, but the context of the model is {context}; use shorter "
                "lengths"
            )
        shortest = min(len(sample.prompt) for sample in self.samples)
        if shortest < update_every:
            raise DataError(
                f"tasks.{label}: a sample has {shortest} tokens before its answer, fewer than "
                f"update_every={update_every}, so nothing can be learnt from it; use longer lengths"
            )

    def __getitem__(self, index: int) -> TrainingSample:
        """One sample."""
        return self.samples[index]


def _encoded(sample: Any, tokenizer: Any) -> TrainingSample:
    encoded = encode(sample, tokenizer)
    prompt = (*encoded.context_ids, *encoded.question_ids)
    if encoded.answer_ids:
        return TrainingSample(prompt, encoded.answer_ids)
    half = len(prompt) // 2
    return TrainingSample(prompt[:half], prompt[half:])


def draw(pool_size: int, count: int, generation: int, seed: int, salt: int) -> tuple[int, ...]:
    """Indices of a generation's samples: the pool in a new random order each time it is used up.

    A function of its arguments alone, so that a resumed run draws what an uninterrupted one draws.

    Args:
        pool_size: Samples in the pool.
        count: Samples per generation, at most the pool.
        generation: Its number, from 0.
        seed: Seed of the run.
        salt: A number of the task's own.
    """
    if count > pool_size:
        raise DataError(f"{count} samples per generation, but the pool has {pool_size}; make the pool larger")
    per_round = pool_size // count  # whole generations in one pass over the pool
    round_number, place = divmod(generation, per_round)
    order = np.random.default_rng([seed, salt, round_number]).permutation(pool_size)
    return tuple(int(i) for i in order[place * count : (place + 1) * count])


def check_labels(tasks: Mapping[str, Any]) -> None:
    """Refuses an empty set of tasks."""
    if not tasks:
        raise DataError("no training task; add one under tasks")
