"""Code completion: the next line of a standard library file, given the file so far."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.language.code_lines import CodeLine, recalling_lines
from namm_xmodal.language.document import Document
from namm_xmodal.language.fitting import cut_to_last_tokens, fit_prompt
from namm_xmodal.language.grid import check_lengths, sample_rng, spread
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.texts import check_texts, find_texts

_TRIES = 100  # files drawn before giving up; about every second long file has a line that fits


@dataclass(frozen=True)
class CodeCompletion:
    """The next statement of a file, chosen so that it uses a name which the nearer half of the context lacks.

    Most lines of code can be written from the last few lines alone. These need a name that was last seen further back,
    so a cache that keeps only the newest tokens must guess it.

    Attributes:
        length: Prompt lengths in tokens; samples are spread over them.
        texts: Source of the code, a name of `list_texts()`; only files that parse as Python are used.
        shortest: Fewest characters of the statement, without its indentation.
        longest: Most characters of the statement.
    """

    name: ClassVar[str] = "code_completion"
    description: ClassVar[str] = "the next line of a standard library file, naming something last seen far back"
    primary_metric: ClassVar[str] = "answer_probability"

    length: tuple[int, ...] = (1024,)
    texts: str = "python-source"
    shortest: int = 20
    longest: int = 80

    def __post_init__(self) -> None:
        check_texts(self.texts)
        check_lengths(self.length, 128)
        if not 1 <= self.shortest <= self.longest:
            raise ConfigError(
                f"shortest, longest: {self.shortest}, {self.longest}: expected 1 <= shortest <= longest characters"
            )

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`, `document`, `line`, `recalls` (the name), `lines_back`."""
        lengths = spread(self.length, n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer) for i, length in enumerate(lengths)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any) -> Sample:
        document, line = self._draw(find_texts(self.texts), length, sample_rng(self.name, seed, index))
        read = document.text[: line.start].rstrip()
        gap = document.text[len(read) : line.start]
        # The last space of the indentation belongs to the statement's first token in most tokenizers.
        indented = gap.endswith(" ")
        question, answer = (gap[:-1], " " + line.text) if indented else (gap, line.text)
        tags: dict[str, str | int | float] = {
            "length": length,
            "document": document.name,
            "line": line.number,
            "recalls": line.recalls,
            "lines_back": line.lines_back,
        }

        def build(filler: int) -> Sample:
            context = cut_to_last_tokens(read, filler, tokenizer)
            return Sample(self.name, index, context, question, answer, (), tags)

        return fit_prompt(build, length, tokenizer)

    def _draw(self, documents: Sequence[Document], length: int, rng: random.Random) -> tuple[Document, CodeLine]:
        """A file and a line in it, with enough text before the line to fill the prompt."""
        needed = 5 * length  # characters, on the safe side: code has about 3.3 a token
        long_enough = [document for document in documents if len(document.text) > 1.5 * needed]
        if not long_enough:
            raise DataError(
                f"length: {length} tokens: no file of {self.texts} is long enough; use a shorter length or a larger source"
            )
        for _ in range(_TRIES):
            document = rng.choice(long_enough)
            lines = [
                line
                for line in recalling_lines(document.text, window=3 * length)
                if line.start >= needed and self.shortest <= len(line.text) <= self.longest
            ]
            if lines:
                return document, rng.choice(lines)
        raise DataError(
            f"length: {length} tokens: no line of {self.texts} recalls a distant name; use another length or source"
        )
