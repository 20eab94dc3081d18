"""Samples, and the protocol of tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable


@dataclass(frozen=True)
class Generation:
    """How a sample's answer is generated and scored, where the task and not the evaluation decides it.

    Attributes:
        tokens: Most tokens.
        metrics: Names of `namm_xmodal.language.metrics.METRICS`; the first is the one that tables show.
        line: Whether the first line is the answer; otherwise all that is said before the end of the text.
        classes: All labels, for metrics of classification.
        counted: Whether the tag `length` of the sample counts these tokens too, as the lengths of RULER do.
    """

    tokens: int
    metrics: tuple[str, ...]
    line: bool = False
    classes: tuple[str, ...] = ()
    counted: bool = False


@dataclass(frozen=True)
class Sample:
    """One sample: a context, a question and its answer. What the model sees is `context + question + answer`.

    Attributes:
        task: Name of the task.
        index: Number of the sample, from 0.
        context: The long part, read before the question is known.
        question: Asked after the context; empty where the context itself is scored.
        answer: The right continuation, with its leading space; empty where the context itself is scored.
        choices: Possible continuations, the answer among them; empty where any text may be said.
        tags: What the sample can be grouped by: length, depth, document and the like.
        also_right: Other ways to say the answer; generated text may match any of them. Likelihoods are those of
            `answer`.
        generation: How text is generated and scored; None for one line of the section's `generate_tokens`.
    """

    task: str
    index: int
    context: str = field(repr=False)
    question: str
    answer: str
    choices: tuple[str, ...] = ()
    tags: Mapping[str, str | int | float] = field(default_factory=dict)
    also_right: tuple[str, ...] = ()
    generation: Generation | None = None


class Task(Protocol):
    """A frozen dataclass whose fields are its hyper-parameters.

    Attributes:
        name: As in the table of tasks.
        description: One line for lists.
        primary_metric: The metric of `namm_xmodal.language.metrics.METRICS` that tables show first.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    primary_metric: ClassVar[str]

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """The first `n` samples of the endless, fixed sequence that a seed stands for.

        The same seed and tokenizer give the same samples whatever policy will read them, and more samples never
        change earlier ones: `samples(5)[:3] == samples(3)`.

        Args:
            n: Number of samples, at least 1.
            seed: Any integer.
            tokenizer: A fast transformers tokenizer; lengths are counted in its tokens.

        Raises:
            DataError: If the task's text source is absent or too short.
            ConfigError: If `n` is not positive.
        """
        ...


@runtime_checkable
class SharesContexts(Protocol):
    """A task that may say which of its samples have one context, such as questions about one book.

    An evaluation reads such a context once for each policy and size, and every question on a copy of what was kept.
    """

    def groups(self, n: int) -> Sequence[int] | None:
        """For each of the first `n` samples, the number of the first one with the same context: `[0, 0, 0, 3, 3]`.

        Contexts and questions are then read one after the other, be they shared or not. More samples never change
        earlier numbers.

        Returns:
            None if every sample stands by itself and is read in one piece, as of tasks without this method.

        Raises:
            DataError: If it cannot be known.
        """
        ...
