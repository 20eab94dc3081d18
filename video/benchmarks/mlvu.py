"""MLVU (Zhou et al., arXiv 2406.04264): dev and test; the official score is the mean over question types."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.video.benchmarks.answers import LETTERS, absent, as_text, read_answer, read_options
from namm_xmodal.video.benchmarks.benchmark import letter_candidates, lettered
from namm_xmodal.video.benchmarks.files import Row, VideoFolder, first_existing, folder_of
from namm_xmodal.video.benchmarks.items import label_of, number_of, read_items, texts_of
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
            paths = first_existing(folder, ("test_question.json", "*/test_question.json"))
            if not paths:
                raise DataError(f"{folder}: no test_question.json; expected the folder of MLVU's test set")
            return _read(paths, {paths[0]: VideoFolder([paths[0].parent / "video"])}, keyed=False)
        root = next((place for place in (folder, folder / "MLVU") if (place / "json").is_dir()), None)
        if root is None:
            paths = first_existing(folder, ("*.parquet", "data/*.parquet"))
            if not paths:
                raise DataError(
                    f"{folder}: neither json/ nor MLVU/json/ nor a parquet file; expected the folder of MLVU"
                )
            everywhere = VideoFolder([folder / "video", folder, folder / "MLVU" / "video"])
            return _read(paths, dict.fromkeys(paths, everywhere), keyed=True)
        places = {}
        for path in sorted((root / "json").glob("*.json")):
            if not path.name.startswith(_GENERATION):
                own = [root / "video" / path.stem, root / "video" / path.stem.partition("_")[2]]
                places[path] = VideoFolder([*own, root / "video"], own)  # other tasks may have a video of the same name
        if not places:
            raise DataError(f"{root / 'json'}: no questions with options; expected 1_plotQA.json and its kin")
        return _read(list(places), places, keyed=True)

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


def _read(paths: list[Path], videos: dict[Path, VideoFolder], *, keyed: bool) -> list[VideoQuestion]:
    twin = paths[0].suffix == ".parquet"  # whose options stand in the question
    names = ["video_name", "question", "task_type"] if twin else ["video", "question", "question_type", "candidates"]

    def read(row: Row, path: Path, key: str) -> VideoQuestion:
        text, given = as_text(row["question"], "question"), row.get("candidates")
        if twin:
            text, given = _split_options(text)
        options = read_options(given)
        secret = not keyed and absent(row.get("answer"))
        return VideoQuestion(
            id=key,
            video=videos[path].find(as_text(row[names[0]], names[0])),
            question=text,
            options=options,
            answer=None if secret else read_answer(row.get("answer"), options, "letter" if twin else "text"),
            kind=_kind(row),
            duration="" if absent(row.get("duration")) else _duration_group(number_of(row, "duration")),
        )

    return read_items(paths, _key, read, benchmark="MLVU", fields=names, kind=_kind, keyed=keyed)


def _key(row: Row, path: Path, number: int) -> str:
    return f"{path.stem}/{number}" if absent(row.get("question_id")) else texts_of(row, ("question_id",))[0]


def _kind(row: Row) -> str:
    kind = label_of(row, "task_type" if absent(row.get("question_type")) else "question_type")
    return _NAMES.get(kind, kind)


def _split_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The question, and what stands behind (A), (B), ... in the lines below it."""
    text, *rest = re.split(r"\n\s*\(([A-Z])\)\s*", text)
    if "".join(rest[::2]) != LETTERS[: len(rest) // 2]:
        raise ItemError(f"its options carry the letters {', '.join(rest[::2])}: expected A, B and so on")
    return text.strip(), tuple(option.strip() for option in rest[1::2])


def _duration_group(seconds: float) -> str:
    """MLVU names no groups; minutes in the steps of its paper's figure."""
    return next(
        (name for limit, name in ((180, "<3 min"), (600, "3-10 min"), (1800, "10-30 min")) if seconds < limit),
        ">30 min",
    )
