"""The samples of a task, made by its code: a task of a plug-in may raise anything and return anything."""

from collections.abc import Sequence
from typing import Any

from namm_xmodal.config.blame import named
from namm_xmodal.errors import ContractError
from namm_xmodal.language.sample import Sample


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
    with named(f"tasks.{label}", task):
        made: Sequence[Sample] = task.samples(count, seed=seed, tokenizer=tokenizer)
        if not isinstance(made, Sequence) or not all(isinstance(each, Sample) for each in made):
            raise ContractError(f"{type(task).__name__}.samples: returned something else than a list of samples")
        if len(made) != count:
            raise ContractError(f"{type(task).__name__}.samples: returned {len(made)} samples, asked for {count}")
    return made
