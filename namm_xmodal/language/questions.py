"""Your own questions: a `.jsonl` file with a prompt and its answer, or choices, on each line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from namm_xmodal.errors import DataError
from namm_xmodal.language.own_texts import read_lines
from namm_xmodal.language.sample import Sample

FIELDS = ("prompt", "question", "answer", "answers", "choices", "tags")
"""What a line may hold; labels of your own go into `tags`."""


@dataclass(frozen=True)
class Questions:
    """Questions of a file, in its order: `{"prompt": ..., "answer": ...}`, with `"choices": [...]` if some are given.

    What stands in `question` is asked after the prompt, so that a streaming schedule reads the prompt without knowing it.

    Attributes:
        share: Whether lines with the same prompt, wherever they stand, are questions about one context, which is then
            read once for each policy and size. Scores are those of reading each by itself; intervals count the context as
            one.
        file: Path of the `.jsonl` file. `answers`, a list, may stand for `answer`: the first one's likelihood is scored,
            and generated text may be any of them.
    """

    name: ClassVar[str] = "questions"
    description: ClassVar[str] = "your own questions, of a .jsonl file with prompt, answer and choices"
    primary_metric: ClassVar[str] = "answer_probability"

    file: str
    share: bool = False

    def __len__(self) -> int:
        """Questions in the file: what is asked where a configuration gives no `n`."""
        return len(self._all_lines())

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `line`, and the line's `tags`."""
        lines = enumerate(self._lines(n))
        return [self._sample(at, f"{self._path}:{number}", number, row) for at, (number, row) in lines]

    def groups(self, n: int) -> list[int] | None:
        """See `SharesContexts.groups`."""
        if not self.share:
            return None
        first: dict[str, int] = {}
        return [first.setdefault(row["prompt"], at) for at, (_, row) in enumerate(self._lines(n))]

    def _lines(self, n: int) -> list[tuple[int, dict[str, Any]]]:
        """Number and content of the first `n` lines."""
        lines = self._all_lines()
        if not 1 <= n <= len(lines):
            raise DataError(f"n: {n}: expected 1 to {len(lines)}, the number of questions in {self._path}")
        return lines[:n]

    def _all_lines(self) -> list[tuple[int, dict[str, Any]]]:
        return read_lines(self._path, ("prompt",), texts=("prompt", "question", "answer"), known=FIELDS)

    @property
    def _path(self) -> Path:
        return Path(self.file).expanduser()

    def _sample(self, index: int, place: str, number: int, row: dict[str, Any]) -> Sample:
        answers, choices = _texts(row, "answers", place, least=1), _texts(row, "choices", place, least=2)
        answer = row.get("answer") or next(iter(answers), "")
        if not answer:
            raise DataError(f"{place}: lacks answer; expected a text, or a list of texts in answers")
        if choices and answer not in choices:
            raise DataError(f"{place}: answer {answer!r} is none of its choices; expected one of {choices}")
        tags = row.get("tags") or {}
        if not isinstance(tags, dict) or not all(isinstance(each, str | int | float) for each in tags.values()):
            raise DataError(f"{place}: tags is {tags!r}, expected an object of texts and numbers")
        question = row.get("question", "")
        options = tuple(map(_continued, choices))
        others = tuple(_continued(each) for each in answers if each != answer)
        tags = {**tags, "line": number}
        return Sample(self.name, index, row["prompt"], question, _continued(answer), options, tags, also_right=others)


def _texts(row: dict[str, Any], name: str, place: str, *, least: int) -> list[str]:
    """A field that is a list of different texts; empty if it is left out."""
    found: Any = row.get(name)
    if found is None:
        return []
    good = isinstance(found, list) and all(isinstance(each, str) and each for each in found)
    if not good or len(set(found)) < len(found) or len(found) < least:
        raise DataError(
            f"{place}: {name} is {found!r}, expected a list of different texts, at least {least}; or leave it out"
        )
    return list(found)


def _continued(text: str) -> str:
    """An answer as it follows a prompt: after a space."""
    return text if text[:1].isspace() else f" {text}"
