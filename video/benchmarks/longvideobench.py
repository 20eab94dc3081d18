"""LongVideoBench (Wu et al., arXiv 2407.15754): JSON or parquet, both subtitle schemas, subtitles interleaved or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.video.benchmarks.answers import absent, as_text, read_answer, read_options, shortened
from namm_xmodal.video.benchmarks.benchmark import INSTRUCTION, LetterBenchmark, letter_candidates, lettered
from namm_xmodal.video.benchmarks.files import Row, VideoFolder, first_existing, folder_of, inside
from namm_xmodal.video.benchmarks.items import label_of, number_of, numbered, read_items, texts_of
from namm_xmodal.video.benchmarks.question import Prompt, VideoQuestion
from namm_xmodal.video.benchmarks.subtitles import Subtitle, interleave, read_longvideobench

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
        paths = first_existing(folder, _FILES[self.split])
        if not paths:
            raise DataError(f"{folder}: none of {', '.join(_FILES[self.split])}; expected the folder of LongVideoBench")
        if self.subtitles == "interleaved" and not (folder / "subtitles").is_dir():
            raise DataError(f"{folder}: no folder subtitles; expected it for subtitles: interleaved")
        videos = VideoFolder([folder / "videos"])

        def read(row: Row, path: Path, key: str) -> VideoQuestion:
            kind, video = texts_of(row, ("question_category", "video_path"))
            given = row["candidates"] if not absent(row.get("candidates")) else numbered(row, "option{}", "N/A")
            options = read_options(given)
            return VideoQuestion(
                id=key,
                video=videos.find(video.removeprefix("videos/")),
                question=as_text(row["question"], "question"),
                options=options,
                answer=read_answer(row.get("correct_choice"), options, "index") if self.split == "val" else None,
                kind=kind,
                duration=label_of(row, "duration_group"),
                evidence=_positions(row.get("position")),
                subtitles=_subtitles(row, folder / "subtitles") if self.subtitles == "interleaved" else (),
                tags={"level": label_of(row, "level"), "topic": label_of(row, "topic_category")},
            )

        fields = ("id", "question", "question_category", "video_path", "candidates|option0")
        keyed = self.split == "val"
        return read_items(
            paths,
            _key,
            read,
            benchmark="LongVideoBench",
            fields=fields,
            kind=lambda row: row.get("question_category"),
            keyed=keyed,
        )

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Frames (with subtitles among them), question, options, instruction."""
        seen: list[str | range] = [range(len(times))]
        if question.subtitles:
            seen = [part if isinstance(part, range) else f"{part}\n" for part in interleave(question.subtitles, times)]
        text = f"Question: {question.question}\n{lettered(question.options)}\n{INSTRUCTION}"
        return Prompt((*seen, text), letter_candidates(question.options))


def _key(row: Row, path: Path, number: int) -> str:
    return texts_of(row, ("id",))[0]


def _subtitles(row: Row, folder: Path) -> tuple[Subtitle, ...]:
    """Paths come with the folder's name in front or without; a question without a path has no subtitles."""
    if absent(row.get("subtitle_path")):
        return ()
    (name,) = texts_of(row, ("subtitle_path",))
    offset, duration = number_of(row, "starting_timestamp_for_subtitles"), number_of(row, "duration")
    return read_longvideobench(inside(folder, name.removeprefix("subtitles/")), offset, duration)


def _positions(value: Any) -> tuple[int, ...]:
    """Numbers of frames, as a list or as its text."""
    if isinstance(value, str):
        try:
            value = parse_json(value) if value.strip() else []
        except ValueError:
            raise ItemError(f"position is {shortened(value)}: expected a list of frames' numbers") from None
    found = [] if absent(value) else value
    if not isinstance(found, list) or not all(isinstance(at, int | float) and 0 <= at < 1e9 for at in found):
        raise ItemError(f"position is {shortened(value)}: expected a list of frames' numbers")
    return tuple(int(at) for at in found)
