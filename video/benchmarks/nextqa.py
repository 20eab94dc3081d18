"""NExT-QA (Xiao et al., CVPR 2021), multiple choice: causal, temporal and descriptive questions, five options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from namm_xmodal.errors import DataError
from namm_xmodal.video.benchmarks.answers import as_text, read_answer, read_options
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark
from namm_xmodal.video.benchmarks.files import Row, VideoFolder, first_existing, folder_of, read_json
from namm_xmodal.video.benchmarks.items import numbered, read_items, texts_of
from namm_xmodal.video.benchmarks.question import VideoQuestion

_GROUPS = {"C": "causal", "T": "temporal", "D": "descriptive"}


@dataclass(frozen=True)
class NExTQA(LetterBenchmark):
    """Short home videos.

    Attributes:
        data: Folder with `val.csv` and `test.csv` (or a parquet twin), and the videos: flat in `NExTVideo/` or `videos/`,
            or in the folders that `map_vid_vidorID.json` names.
        split: `val` or `test`.
    """

    data: str
    split: Literal["val", "test"] = "val"

    name = "nextqa"

    def questions(self) -> list[VideoQuestion]:
        """See `Benchmark.questions`."""
        folder = folder_of(self.data, "NExT-QA")
        names = (f"{self.split}.csv", f"mc_{self.split}.csv", f"*{self.split}*.parquet", f"*/*{self.split}*.parquet")
        paths = first_existing(folder, names)
        if not paths:
            raise DataError(
                f"{folder}: contains neither {self.split}.csv nor a parquet file; expected the folder of NExT-QA"
            )
        places = _vidor(folder)
        videos = VideoFolder([folder / "NExTVideo", folder / "videos", folder])

        def read(row: Row, path: Path, key: str) -> VideoQuestion:
            video, text, kind = texts_of(row, ("video", "question", "type"))
            options = read_options(numbered(row, "a{}"))
            return VideoQuestion(
                id=key,
                video=videos.find(as_text(places.get(video, video), "a video's place")),
                question=f"{text.rstrip('?')}?",
                options=options,
                answer=read_answer(row["answer"], options, "index"),
                kind=kind,
                tags={"group": _GROUPS.get(kind[:1], "other")},
            )

        fields = ("video", "question", "answer", "qid", "type", "a0", "a1")
        return read_items(
            paths, _key, read, benchmark="NExT-QA", fields=fields, kind=lambda row: row.get("type"), keyed=True
        )


def _key(row: Row, path: Path, number: int) -> str:
    return "_".join(texts_of(row, ("video", "qid")))


def _vidor(folder: Path) -> dict[str, Any]:
    """Folder and name of each video, where the release nests them."""
    path = folder / "map_vid_vidorID.json"
    if not path.exists():
        return {}
    try:
        places = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); download it again") from None
    if not isinstance(places, dict):
        raise DataError(f"{path}: expected {{video: folder/name}}, found {type(places).__name__}")
    return places
