"""MLVU (Zhou et al., arXiv 2406.04264): dev and test; the official score is the mean over question types."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from namm_xmodal.errors import DataError
from namm_xmodal.video.benchmarks.benchmark import letter_candidates, letter_index, lettered
from namm_xmodal.video.benchmarks.files import Row, fields_of, find_video, first_existing, folder_of, read_rows
from namm_xmodal.video.benchmarks.parse import parse_mlvu
from namm_xmodal.video.benchmarks.question import Prompt, VideoQuestion

SYSTEM = (
    "Carefully watch this video and pay attention to every detail. Based on your observations, select the best option "
    "that accurately addresses the question."
)
_NAMES = {"findNeedle": "needle", "findneedle": "needle"}
"""Question types that releases spell differently."""
_GENERATION = ("8_", "9_")
"""Files of questions without options."""


@dataclass(frozen=True)
class MLVU:
    """Nine kinds of tasks on long videos; the seven (test: nine) with options.

    Attributes:
        data: Folder with `json/` and `video/` (also one level down, in `MLVU/`), or with `test_question.json`, or with the
            parquet twin of the dev set.
        split: `dev`, or `test`.
    """

    data: str
    split: Literal["dev", "test"] = "dev"

    name = "mlvu"
    macro = True
    without_unparsed = False

    def questions(self) -> list[VideoQuestion]:
        """See `Benchmark.questions`."""
        folder = folder_of(self.data, "MLVU")
        if self.split == "test":
            path = first_existing(folder, ("test_question.json", "*/test_question.json"))
            if path is None:
                raise DataError(f"{folder}: no test_question.json; expected the folder of MLVU's test set")
            return [_question(row, [path.parent / "video"], path, number) for number, row in enumerate(read_rows(path))]
        root = next((place for place in (folder, folder / "MLVU") if (place / "json").is_dir()), None)
        if root is None:
            path = first_existing(folder, ("*.parquet", "data/*.parquet"))
            if path is None:
                raise DataError(
                    f"{folder}: neither json/ nor MLVU/json/ nor a parquet file; expected the folder of MLVU"
                )
            return [_question(row, _video_folders(folder), path, number) for number, row in enumerate(read_rows(path))]
        found = []
        for path in sorted((root / "json").glob("*.json")):
            if path.name.startswith(_GENERATION):
                continue
            folders = [root / "video" / path.stem, root / "video" / path.stem.partition("_")[2], root / "video"]
            found += [_question(row, folders, path, number) for number, row in enumerate(read_rows(path))]
        if not found:
            raise DataError(f"{root / 'json'}: no questions with options; expected 1_plotQA.json and its kin")
        return found

    def prompt(self, question: VideoQuestion, times: Sequence[float]) -> Prompt:
        """The official prompt; the answer begins with `Best Option: (`."""
        text = f"{SYSTEM}\nQuestion: {question.question}\nOptions:\n{lettered(question.options, '({}) {}')}"
        return Prompt(
            (range(len(times)), f"{text}\nOnly give the best option."),
            letter_candidates(question.options),
            "Best Option: (",
        )

    def parse(self, text: str, question: VideoQuestion) -> int | None:
        """See `parse_mlvu`."""
        return parse_mlvu(text, question.options)


def _question(row: Row, folders: list[Path], path: Path, number: int) -> VideoQuestion:
    if "video_name" in row:  # the parquet twin, whose options stand in the question
        video, kind, text = fields_of(row, ("video_name", "task_type", "question"), path, number)
        text, options = _split_options(str(text))
    else:
        video, kind, text, given = fields_of(row, ("video", "question_type", "question", "candidates"), path, number)
        options = tuple(str(option) for option in given)
    answer = row.get("answer")
    right = None if answer is None else letter_index(answer, options)
    if answer is not None and right is None:
        raise DataError(f"{path}: question {number}: answer {answer!r} is none of its options {list(options)}")
    return VideoQuestion(
        id=str(row.get("question_id", f"{path.stem}/{number}")),
        video=find_video(folders, str(video)),
        question=str(text),
        options=options,
        answer=right,
        kind=_NAMES.get(str(kind), str(kind)),
        duration=_duration_group(row.get("duration")),
    )


def _split_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The question, and what stands behind (A), (B), ... in the lines below it."""
    parts = re.split(r"\n\s*\(([A-H])\)\s*", text)
    return parts[0].strip(), tuple(option.strip() for option in parts[2::2])


def _duration_group(seconds: object) -> str:
    """MLVU names no groups; minutes in the steps of its paper's figure."""
    if not isinstance(seconds, int | float):
        return ""
    return next(
        (name for limit, name in ((180, "<3 min"), (600, "3-10 min"), (1800, "10-30 min")) if seconds < limit),
        ">30 min",
    )


def _video_folders(folder: Path) -> list[Path]:
    inner = [
        place for root in (folder, folder / "MLVU") for place in sorted((root / "video").glob("*")) if place.is_dir()
    ]
    return [folder / "video", folder, *inner]
