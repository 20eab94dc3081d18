"""LongVideoBench (Wu et al., arXiv 2407.15754): JSON or parquet, both subtitle schemas, subtitles interleaved or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from namm_xmodal.errors import DataError
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.video.benchmarks.benchmark import INSTRUCTION, LetterBenchmark, letter_candidates, lettered
from namm_xmodal.video.benchmarks.files import Row, fields_of, first_existing, folder_of, read_rows
from namm_xmodal.video.benchmarks.question import Prompt, VideoQuestion
from namm_xmodal.video.benchmarks.subtitles import Subtitle, interleave, read_json

_FILES = {
    "val": ("lvb_val.json", "validation-*.parquet", "data/validation-*.parquet"),
    "test": ("lvb_test_wo_gt.json", "test-*.parquet", "data/test-*.parquet"),
}


@dataclass(frozen=True)
class LongVideoBench(LetterBenchmark):
    """Long videos with referring questions; groups of 15, 60, 600 and 3600 seconds.

    Attributes:
        data: Folder with `lvb_val.json` (or the parquet twin), `videos/` and `subtitles/`.
        split: `val`, or `test` (answers are secret).
        subtitles: `none`, or `interleaved` with the frames as in the official loader. Recorded in results, since
            leaderboard rows differ in it.
    """

    data: str
    split: Literal["val", "test"] = "val"
    subtitles: Literal["none", "interleaved"] = "none"

    name = "longvideobench"

    def questions(self) -> list[VideoQuestion]:
        """See `Benchmark.questions`."""
        folder = folder_of(self.data, "LongVideoBench")
        path = first_existing(folder, _FILES[self.split])
        if path is None:
            raise DataError(f"{folder}: none of {', '.join(_FILES[self.split])}; expected the folder of LongVideoBench")
        return [self._question(row, folder, path, number) for number, row in enumerate(read_rows(path))]

    def _question(self, row: Row, folder: Path, path: Path, number: int) -> VideoQuestion:
        key, text, kind, video = fields_of(row, ("id", "question", "question_category", "video_path"), path, number)
        options = tuple(row["candidates"]) if row.get("candidates") else _padded_options(row)
        if not options:
            raise DataError(f"{path}: question {number} has neither candidates nor option0; is it another release?")
        right = row.get("correct_choice")
        duration = float(row.get("duration") or 0)
        subtitles: tuple[Subtitle, ...] = ()
        if self.subtitles == "interleaved" and row.get("subtitle_path"):
            offset = float(row.get("starting_timestamp_for_subtitles") or 0)
            subtitles = read_json(_inside(folder, "subtitles", row["subtitle_path"]), offset, duration)
        return VideoQuestion(
            id=str(key),
            video=_inside(folder, "videos", video),
            question=str(text),
            options=options,
            answer=int(right) if right is not None and str(right).isdigit() else None,
            kind=str(kind),
            duration=str(row.get("duration_group", "")),
            evidence=_positions(row.get("position")),
            subtitles=subtitles,
            tags={"level": str(row.get("level", "")), "topic": str(row.get("topic_category", ""))},
        )

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Frames (with subtitles among them), question, options, instruction."""
        seen: list[str | range] = [range(len(times))]
        if question.subtitles:
            seen = [part if isinstance(part, range) else f"{part}\n" for part in interleave(question.subtitles, times)]
        text = f"Question: {question.question}\n{lettered(question.options)}\n{INSTRUCTION}"
        return Prompt((*seen, text), letter_candidates(question.options))


def _padded_options(row: Row) -> tuple[str, ...]:
    """`option0` to `option4` of the parquet twin, which pads with "N/A"."""
    found = [row.get(f"option{place}") for place in range(5)]
    return tuple(str(option) for option in found if option is not None and option != "N/A")


def _inside(folder: Path, kind: str, name: str) -> Path:
    """Paths come with the folder's name in front or without."""
    return folder / kind / str(name).removeprefix(f"{kind}/")


def _positions(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        value = parse_json(value) if value.strip().startswith("[") else []
    return tuple(int(each) for each in value or [])
