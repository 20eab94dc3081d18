"""Your own questions about your own videos: a `.jsonl` file with video, question, options and answer on each line."""

from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.errors import DataError
from namm_xmodal.language.own_texts import read_lines
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark, letter_index
from namm_xmodal.video.benchmarks.question import LETTERS, VideoQuestion


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

    def _question(self, path: Path, number: int, row: dict[str, object]) -> VideoQuestion:
        options = row["options"]
        if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS):
            raise DataError(f"{path}:{number}: options: expected a list of 2 to {len(LETTERS)}")
        texts, given = tuple(map(str, options)), row.get("answer")
        right = None if given is None else letter_index(given, texts)
        if given is not None and right is None:
            raise DataError(f"{path}:{number}: answer {given!r} is none of its options")
        evidence = row.get("evidence") or ()
        if not isinstance(evidence, list | tuple) or not all(isinstance(each, int) for each in evidence):
            raise DataError(f"{path}:{number}: evidence {evidence!r}: expected a list of frame numbers")
        return VideoQuestion(
            id=str(row.get("id") or f"line {number}"),
            video=path.parent / str(row["video"]),
            question=str(row["question"]),
            options=texts,
            answer=right,
            kind=str(row.get("kind") or "own"),
            duration=str(row.get("duration") or ""),
            evidence=tuple(evidence),
        )
