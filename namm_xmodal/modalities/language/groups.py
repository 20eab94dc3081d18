"""Which samples of a task share a context; a task of a plug-in may say anything."""

from typing import Any

from namm_xmodal.config.blame import named
from namm_xmodal.errors import ContractError
from namm_xmodal.language.sample import SharesContexts


def first_of_each(label: str, task: Any, count: int) -> tuple[int, ...] | None:
    """For each sample of a task the first one with the same context; None if the task says nothing of it.

    Args:
        label: Of the task in the configuration.
        task: Any task.
        count: Samples.

    Raises:
        NammError: What the task refuses or its code raises, or that it says something impossible.
    """
    if not isinstance(task, SharesContexts):
        return None
    with named(f"tasks.{label}", task):
        found = task.groups(count)
        if found is None:
            return None
        firsts = tuple(found)
        if len(firsts) != count or not all(isinstance(first, int) for first in firsts):
            raise ContractError(f"{type(task).__name__}.groups: expected {count} numbers, found {firsts!r:.200}")
        for at, first in enumerate(firsts):
            if not 0 <= first <= at or firsts[first] != first:
                raise ContractError(
                    f"{type(task).__name__}.groups: sample {at} is said to share the context of {first!r}; expected the "
                    "first sample with that context"
                )
    return firsts
