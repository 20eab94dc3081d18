"""The protocol of benchmarks, and the letter prompt that most of them share."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from namm_xmodal.video.benchmarks.answers import LETTERS
from namm_xmodal.video.benchmarks.parse import parse_choice
from namm_xmodal.video.benchmarks.question import Prompt, VideoQuestion


@runtime_checkable
class Benchmark(Protocol):
    """A benchmark: its questions, its prompt, its parser.

    Attributes:
        name: As in `benchmark:` of a configuration.
        macro: Whether the official score is the mean over question types of their accuracies.
        without_unparsed: Whether the official score leaves unparsable answers out of the denominator.
    """

    name: str
    macro: bool
    without_unparsed: bool

    def questions(self) -> list[VideoQuestion]:
        """All questions of the split, in its order, those that cannot be asked included."""

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """The official prompt, given the times of the sampled frames."""

    def parse(self, text: str, question: VideoQuestion) -> int | None:
        """The option that generated text chooses, None if it chooses none."""


class LetterBenchmark:
    """Options under letters, answered by a letter."""

    name = "letters"
    macro = False
    without_unparsed = False

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Video, question, lettered options, instruction."""
        text = f"{question.question}\n{lettered(question.options)}\n{INSTRUCTION}"
        return Prompt((range(len(times)), text), letter_candidates(question.options))

    def parse(self, text: str, question: VideoQuestion) -> int | None:
        """See `parse_choice`."""
        return parse_choice(text, question.options)


INSTRUCTION = "Answer with the option's letter from the given choices directly."


def lettered(options: Sequence[str], form: str = "{}. {}") -> str:
    """One option a line, each under its letter."""
    return "\n".join(form.format(letter, option) for letter, option in zip(LETTERS, options, strict=False))


def letter_candidates(options: Sequence[str]) -> tuple[str, ...]:
    """The letters."""
    return tuple(LETTERS[: len(options)])
