"""Video-MME (Fu et al., arXiv 2405.21075), with and without subtitles."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from namm_xmodal.errors import DataError
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark, letter_candidates, letter_index
from namm_xmodal.video.benchmarks.files import fields_of, find_video, first_existing, folder_of, read_rows
from namm_xmodal.video.benchmarks.question import Prompt, VideoQuestion
from namm_xmodal.video.benchmarks.subtitles import read_srt, shown_with

_FILES = ("videomme/test-*.parquet", "test-*.parquet", "data/test-*.parquet", "*.parquet")
_SELECT = (
    "Select the best answer to the following multiple-choice question based on the video{}. "
    "Respond with only the letter (A, B, C, or D) of the correct option."
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
        path = first_existing(folder, _FILES)
        if path is None:
            raise DataError(f"{folder}: no videomme/test-*.parquet; expected the folder of Video-MME")
        found = []
        for number, row in enumerate(read_rows(path)):
            names = ("question_id", "videoID", "question", "options", "answer", "task_type", "duration")
            key, video, text, given, answer, kind, duration = fields_of(row, names, path, number)
            options = tuple(_without_letter(str(option)) for option in given)
            lines = read_srt(folder / "subtitle" / f"{video}.srt") if self.subtitles == "shown" else ()
            found.append(
                VideoQuestion(
                    id=str(key),
                    video=find_video([folder / "data", folder / "video", folder / "videos"], str(video)),
                    question=str(text),
                    options=options,
                    answer=letter_index(answer, options),
                    kind=str(kind),
                    duration=str(duration),
                    subtitles=lines,
                    tags={"domain": str(row.get("domain", "")), "sub_category": str(row.get("sub_category", ""))},
                )
            )
        return found

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """Video, subtitles if asked for, instruction, question, options, `The best answer is:`."""
        lines = shown_with(question.subtitles, times)
        told = "This video's subtitles are listed below:\n" + "\n".join(lines) + "\n" if lines else ""
        options = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", question.options, strict=False))
        select = _SELECT.format(" and the subtitles" if lines else "")
        text = f"{told}{select}\n{question.question}\n{options}\nThe best answer is:"
        return Prompt((range(len(times)), text), letter_candidates(question.options))


def _without_letter(option: str) -> str:
    """`A. text` -> `text`."""
    return option[2:].strip() if option[:1] in "ABCD" and option[1:2] in ".)" else option
