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
        lines = read_lines(path, ("prompt",))
        if n > len(lines):
            raise DataError(f"{path}: {len(lines)} questions, {n} asked for; lower n")
        return [self._sample(at, path, number, row) for at, (number, row) in enumerate(lines[:n])]

    def _sample(self, index: int, path: Path, number: int, row: dict[str, Any]) -> Sample:
        answers = row.get("answers") or [row.get("answer")]
        if not isinstance(answers, list) or not all(isinstance(each, str) and each for each in answers):
            raise DataError(f"{path}:{number}: lacks answer; expected a text, or a list of texts in answers")
        choices = tuple(_continued(str(each)) for each in row.get("choices") or ())
        answer = _continued(answers[0])
        if choices and answer not in choices:
            raise DataError(f"{path}:{number}: answer {answers[0]!r} is none of its choices")
        tags = {
            "line": number,
            **{k: v for k, v in (row.get("tags") or {}).items() if isinstance(v, str | int | float)},
        }
        question = str(row.get("question") or "")
        others = tuple(_continued(each) for each in answers[1:])
        return Sample(self.name, index, str(row["prompt"]), question, answer, choices, tags, also_right=others)


def _continued(text: str) -> str:
    """An answer as it follows a prompt: after a space."""
    return text if text[:1].isspace() else f" {text}"
