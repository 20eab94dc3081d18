"""Your own questions about your own videos: a `.jsonl` file with video, question, options and answer on each line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.language.own_texts import read_lines
from namm_xmodal.video.benchmarks.answers import absent, read_answer, read_options, shortened
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark
from namm_xmodal.video.benchmarks.question import VideoQuestion


@dataclass(frozen=True)
class OwnQuestions(LetterBenchmark):
    """Questions of a file: `{"video": "clip.mp4", "question": ..., "options": [...], "answer": "B"}` on each line.

    A video is looked up beside the file. `answer` is an option's letter, its text or its number from 0, and may be left
    out; `id`, `kind`, `duration` and `evidence` (numbers of the frames that hold the answer) are optional.

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
        return [self._question(path, number, row) for number, row in read_lines(path, ("video", "question", "options"))]

    def _question(self, path: Path, number: int, row: dict[str, Any]) -> VideoQuestion:
        """One line; what is wrong with it is kept as its problem, so that it is counted as skipped."""
        options: tuple[str, ...] = ()
        right, problem, evidence = None, "", row.get("evidence") or ()
        try:
            options = read_options(row["options"])
            right = None if absent(row.get("answer")) else read_answer(row["answer"], options, "letter")
            if not isinstance(evidence, list | tuple) or not all(isinstance(each, int) for each in evidence):
                raise ItemError(f"evidence is {shortened(evidence)}: expected a list of frame numbers")
        except ItemError as error:
            problem, evidence = f"{path}:{number}: {error}", ()
        return VideoQuestion(
            id=str(row.get("id") or f"line {number}"),
            video=path.parent / str(row["video"]),
            question=str(row["question"]),
            options=options,
            answer=right,
            kind=str(row.get("kind") or "own"),
            duration=str(row.get("duration") or ""),
            evidence=tuple(evidence),
            problem=problem,
            keyed=not absent(row.get("answer")),
        )
