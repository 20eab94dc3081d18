"""Video-MME (Fu et al., arXiv 2405.21075), with and without subtitles."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from namm_xmodal.errors import DataError
from namm_xmodal.video.benchmarks.answers import as_text, read_answer, read_options
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark, letter_candidates, lettered
from namm_xmodal.video.benchmarks.files import Row, VideoFolder, first_existing, folder_of, inside
from namm_xmodal.video.benchmarks.items import label_of, read_items, texts_of
from namm_xmodal.video.benchmarks.question import Prompt, VideoQuestion
from namm_xmodal.video.benchmarks.subtitles import read_srt, shown_with

_FILES = ("videomme/test-*.parquet", "test-*.parquet", "data/test-*.parquet", "*.parquet")
_SELECT = (
    "Select the best answer to the following multiple-choice question based on the video{}. "
    "Respond with only the letter ({}, or {}) of the correct option."
)


@dataclass(frozen=True)
class VideoMME(LetterBenchmark):
    """900 videos with three questions each: short, medium and long.

    Attributes:
        data: Folder with `videomme/test-*.parquet`, `data/` or `video/`, and `subtitle/`.
        subtitles: `none`, or `shown`: lines on screen at the sampled frames, in order, before the question. Without them
            the prompt does not speak of any (the published one does).
    """

    data: str
    subtitles: Literal["none", "shown"] = "none"

    name = "videomme"
    without_unparsed = True  # official accuracy is over answered questions; both are reported

    def questions(self) -> list[VideoQuestion]:
        """See `Benchmark.questions`."""
        folder = folder_of(self.data, "Video-MME")
        paths = first_existing(folder, _FILES)
        if not paths:
            raise DataError(f"{folder}: no videomme/test-*.parquet; expected the folder of Video-MME")
        if self.subtitles == "shown" and not (folder / "subtitle").is_dir():
            raise DataError(f"{folder}: no folder subtitle; expected it for subtitles: shown")
        videos = VideoFolder([folder / "data", folder / "video", folder / "videos", folder])

        def read(row: Row, path: Path, key: str) -> VideoQuestion:
            video, kind, duration = texts_of(row, ("videoID", "task_type", "duration"))
            options = read_options(row["options"])
            shown = self.subtitles == "shown"
            return VideoQuestion(
                id=key,
                video=videos.find(video),
                question=as_text(row["question"], "question"),
                options=options,
                answer=read_answer(row["answer"], options, "letter"),
                kind=kind,
                duration=duration,
                subtitles=read_srt(inside(folder / "subtitle", f"{video}.srt")) if shown else (),
                tags={name: label_of(row, name) for name in ("domain", "sub_category")},
            )

        fields = ("question_id", "videoID", "question", "options", "answer", "task_type", "duration")
        return read_items(
            paths, _key, read, benchmark="Video-MME", fields=fields, kind=lambda row: row.get("task_type"), keyed=True
        )

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Video, subtitles if asked for, instruction, question, options, `The best answer is:`."""
        lines = shown_with(question.subtitles, times)
        told = "This video's subtitles are listed below:\n" + "\n".join(lines) + "\n" if lines else ""
        *others, last = letters = letter_candidates(question.options)
        select = _SELECT.format(" and the subtitles" if lines else "", ", ".join(others), last)
        text = f"{told}{select}\n{question.question}\n{lettered(question.options)}\nThe best answer is:"
        return Prompt((range(len(times)), text), letters)


def _key(row: Row, path: Path, number: int) -> str:
    return texts_of(row, ("question_id",))[0]
