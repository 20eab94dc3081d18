"""Your own questions about your own videos: a `.jsonl` file with video, question, options and answer on each line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.language.own_texts import read_lines
from namm_xmodal.video.benchmarks.answers import read_answer, read_options, shortened
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark
from namm_xmodal.video.benchmarks.question import VideoQuestion

FIELDS = ("video", "question", "options", "answer", "id", "kind", "duration", "evidence")
"""What a line may hold."""


@dataclass(frozen=True)
class OwnQuestions(LetterBenchmark):
    """Questions of a file: `{"video": "clip.mp4", "question": ..., "options": [...], "answer": "B"}` on each line.

    A video is looked up beside the file. `answer` is an option's letter, its text, or its number from 0 (a number, no
    text); `null` if it is not known, so that the question is asked, not scored. `id`, `kind`, `duration` and `evidence`
    (numbers of the frames that hold the answer) are optional. A line with a mistake is refused.

    Attributes:
        data: The `.jsonl` file.
    """

    data: str

    name = "own"

    def questions(self) -> list[VideoQuestion]:
        """See `Benchmark.questions`."""
        path = Path(self.data).expanduser()
        if not self.data or path.is_dir():
            raise DataError(f"data={self.data!r}: expected a .jsonl file with video, question and options on each line")
        lines = read_lines(path, FIELDS[:3], texts=("video", "question", "id", "kind", "duration"), known=FIELDS)
        found: dict[str, VideoQuestion] = {}
        for number, row in lines:
            question = self._question(path, number, row)
            if question.id in found:
                raise DataError(f"{path}:{number}: has the id {question.id!r} of an earlier line; rename one")
            found[question.id] = question
        return list(found.values())

    def _question(self, path: Path, number: int, row: dict[str, Any]) -> VideoQuestion:
        """One line.

        Raises:
            DataError: If something is wrong with it; names file and line.
        """
        evidence = row.get("evidence") or ()
        try:
            if "answer" not in row:
                raise ItemError("lacks answer: expected an answer, or null if it is unknown")
            options = read_options(row["options"])
            right = None if row["answer"] is None else _answer(row["answer"], options)
            if not isinstance(evidence, list | tuple) or not all(type(each) is int and each >= 0 for each in evidence):
                raise ItemError(f"evidence is {shortened(evidence)}: expected a list of frame numbers")
        except ItemError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        return VideoQuestion(
            id=row.get("id") or f"line {number}",
            video=path.parent / row["video"],
            question=row["question"],
            options=options,
            answer=right,
            kind=row.get("kind") or "own",
            duration=row.get("duration") or "",
            evidence=tuple(evidence),
            keyed=right is not None,
            place=f"{path}:{number}",
        )


def _answer(key: Any, options: tuple[str, ...]) -> int:
    """A text of digits is the text of an option; all else may be a letter, a text or a number, but only one of these."""
    digits = isinstance(key, str) and key.strip().isdigit()
    return read_answer(key, options, "text" if digits else "index")
