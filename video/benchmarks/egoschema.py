"""EgoSchema (Mangalam et al., arXiv 2308.09126): five options; answers of a subset of 500 are public."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.video.benchmarks.answers import absent, as_text, read_answer, read_options
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark
from namm_xmodal.video.benchmarks.files import Row, VideoFolder, first_existing, folder_of, read_json
from namm_xmodal.video.benchmarks.items import numbered, read_items, texts_of
from namm_xmodal.video.benchmarks.question import VideoQuestion


@dataclass(frozen=True)
class EgoSchema(LetterBenchmark):
    """Three-minute videos from a first person's view.

    Attributes:
        data: Folder with `questions.json` and `subset_answers.json` (or a parquet twin), and `videos/`.
        split: `subset` (500 questions with public answers), or `full` (the rest only makes a submission file).
    """

    data: str
    split: Literal["subset", "full"] = "subset"

    name = "egoschema"

    def questions(self) -> list[VideoQuestion]:
        """See `Benchmark.questions`."""
        folder = folder_of(self.data, "EgoSchema")
        paths = first_existing(
            folder, ("questions.json", "*.parquet", f"{self.split.title()}/*.parquet", "*/*.parquet")
        )
        if not paths:
            raise DataError(
                f"{folder}: contains neither questions.json nor a parquet file; expected the folder of EgoSchema"
            )
        answers = _public_answers(folder / "subset_answers.json")
        videos = VideoFolder([folder / "videos", folder])

        def read(row: Row, path: Path, key: str) -> VideoQuestion | None:
            given = [value for value in (row.get("answer"), answers.get(key)) if not absent(value)]
            if self.split == "subset" and not given:
                return None
            options = read_options(row["option"] if "option" in row else numbered(row, "option {}"))
            right = {read_answer(value, options, "index") for value in given}
            if len(right) > 1:
                raise ItemError(
                    f"answer {given[0]!r} in {path.name}, {given[1]!r} in subset_answers.json: expected one"
                )
            return VideoQuestion(
                id=key,
                video=videos.find(key if absent(row.get("video_idx")) else as_text(row["video_idx"], "video_idx")),
                question=as_text(row["question"], "question"),
                options=options,
                answer=right.pop() if right else None,
                kind="egoschema",
            )

        fields = ("q_uid|video_idx", "question", "option|option 0")
        keyed = self.split == "subset"
        found = read_items(
            paths, _key, read, benchmark="EgoSchema", fields=fields, kind=lambda row: "egoschema", keyed=keyed
        )
        if not found:
            raise DataError(f"{folder}: no question has a public answer; add subset_answers.json, or use split: full")
        return found


def _key(row: Row, path: Path, number: int) -> str:
    name = "video_idx" if absent(row.get("q_uid")) else "q_uid"
    return texts_of(row, (name,))[0]


def _public_answers(path: Path) -> dict[str, Any]:
    """`{q_uid: index}`; each index is checked with its question."""
    if not path.exists():
        return {}
    try:
        answers = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); download it again") from None
    if not isinstance(answers, dict):
        raise DataError(f"{path}: expected {{q_uid: number}}, found {type(answers).__name__}")
    return {key.strip(): value for key, value in answers.items()}
