"""Your own questions: a `.jsonl` file with a prompt and its answer, or choices, on each line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from namm_xmodal.errors import DataError
from namm_xmodal.language.own_texts import read_lines
from namm_xmodal.language.sample import Sample


@dataclass(frozen=True)
class Questions:
    """Questions of a file, in its order: `{"prompt": ..., "answer": ...}`, with `"choices": [...]` if some are given.

    What stands in `question` is asked after the prompt, so that a streaming schedule reads the prompt without knowing it.

    Attributes:
        file: Path of the `.jsonl` file. `answers`, a list, may stand for `answer`: the first one's likelihood is scored,
            and generated text may be any of them.
    """

    name: ClassVar[str] = "questions"
    description: ClassVar[str] = "your own questions, of a .jsonl file with prompt, answer and choices"
    primary_metric: ClassVar[str] = "answer_probability"

    file: str

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `line`, and the line's `tags`."""
        path = Path(self.file).expanduser()
        lines = read_lines(path, ("prompt",), texts=("prompt", "question", "answer"))
        if not 1 <= n <= len(lines):
            raise DataError(f"n: {n}: expected 1 to {len(lines)}, the number of questions in {path}")
        return [self._sample(at, f"{path}:{number}", number, row) for at, (number, row) in enumerate(lines[:n])]

    def _sample(self, index: int, place: str, number: int, row: dict[str, Any]) -> Sample:
        answers, choices = _texts(row, "answers", place), _texts(row, "choices", place)
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


def _texts(row: dict[str, Any], name: str, place: str) -> list[str]:
    """A field that is a list of different texts; empty if it is left out."""
    found = row.get(name) or []
    good = isinstance(found, list) and all(isinstance(each, str) and each for each in found)
    if not good or len(set(found)) < len(found):
        raise DataError(f"{place}: {name} is {found!r}, expected a list of different texts")
    return found


def _continued(text: str) -> str:
    """An answer as it follows a prompt: after a space."""
    return text if text[:1].isspace() else f" {text}"
