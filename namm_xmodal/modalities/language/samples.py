"""The samples of a task, made by its code: a task of a plug-in may raise anything and return anything."""

from collections.abc import Sequence
from typing import Any, overload

from namm_xmodal.config.blame import named
from namm_xmodal.errors import ContractError
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.suites.task import SuiteTask


class SuiteSamples(Sequence[Sample]):
    """Items of a suite, each made when it is asked for: a file may hold a gigabyte, and items that cannot be asked."""

    def __init__(self, task: SuiteTask, count: int, tokenizer: Any) -> None:
        """Reads nothing yet."""
        self._task, self._count, self._tokenizer = task, count, tokenizer

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> Sample: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Sample]: ...
    def __getitem__(self, at: int | slice) -> Sample | Sequence[Sample]:
        """One item, or several.

        Raises:
            ItemError: If it cannot be asked.
        """
        if isinstance(at, slice):
            return [self[place] for place in range(self._count)[at]]
        return self._task.sample(range(self._count)[at], self._tokenizer)


def make_samples(label: str, task: Any, count: int, *, seed: int, tokenizer: Any) -> Sequence[Sample]:
    """All samples of a task.

    Args:
        label: Of the task in the configuration.
        task: Any task.
        count: How many.
        seed: Of the section.
        tokenizer: Of the model.

    Raises:
        NammError: What the task refuses or its code raises, or that it made something else, with the place of the task.
    """
    if isinstance(task, SuiteTask):
        return SuiteSamples(task, count, tokenizer)
    with named(f"tasks.{label}", task):
        made: Sequence[Sample] = task.samples(count, seed=seed, tokenizer=tokenizer)
        if not isinstance(made, Sequence) or not all(isinstance(each, Sample) for each in made):
            raise ContractError(f"{type(task).__name__}.samples: did not return a list of samples")
        if len(made) != count:
            raise ContractError(f"{type(task).__name__}.samples: returned {len(made)} samples, asked for {count}")
    return made
