"""What all tasks of RULER share: lengths that count the answer, several answers that must all be said, no end at a line."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from namm_xmodal.language.fitting import fit_prompt
from namm_xmodal.language.grid import check_lengths
from namm_xmodal.language.sample import Generation, Sample

Tags = Mapping[str, str | int | float]


@dataclass(frozen=True)
class RulerTask:
    """A task of RULER, but for its samples.

    Attributes:
        tokens: Most tokens of an answer; they count towards `length`.
        length: Tokens of prompt and answer together, as RULER's `max_seq_length`; samples are spread over them.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    primary_metric: ClassVar[str] = "string_match_all"
    tokens: ClassVar[int]
    least_length: ClassVar[int] = 256

    length: tuple[int, ...] = (4096,)

    def __post_init__(self) -> None:
        check_lengths(self.length, self.least_length)

    def _fitted(
        self,
        index: int,
        length: int,
        context: Callable[[int], str],
        question: str,
        answers: Sequence[str],
        tokenizer: Any,
        tags: Tags | None = None,
        hint: str = "",
        unit: int = 1,
    ) -> Sample:
        """A sample whose prompt and answer fill the length.

        Args:
            index: Of the sample.
            length: Tokens of prompt and answer.
            context: From a number of filler tokens to what is read before the question; the same choices at every call.
            question: With the prefix of the answer.
            answers: All that are asked for.
            tokenizer: Counts the tokens.
            tags: Beside `length`.
            hint: Of `fit_prompt`.
            unit: Of `fit_prompt`.
        """
        generation = Generation(self.tokens, (self.primary_metric,), counted=True)
        first, *others = (f" {answer}" for answer in answers)
        tags = {"length": length, **(tags or {})}

        def build(filler: int) -> Sample:
            return Sample(self.name, index, context(filler), question, first, (), tags, tuple(others), generation)

        return fit_prompt(build, length, tokenizer, hint, self.tokens, unit)
