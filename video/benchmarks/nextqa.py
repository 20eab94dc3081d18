"""NExT-QA (Xiao et al., CVPR 2021), multiple choice: causal, temporal and descriptive questions, five options."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from namm_xmodal.errors import DataError
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark, letter_index
from namm_xmodal.video.benchmarks.files import fields_of, find_video, first_existing, folder_of, read_rows
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
        path = first_existing(folder, names)
        if path is None:
            raise DataError(f"{folder}: no {self.split}.csv and no parquet file; expected the folder of NExT-QA")
        places = _vidor(folder)
        found = []
        for number, row in enumerate(read_rows(path)):
            video, text, answer, key, kind = fields_of(
                row, ("video", "question", "answer", "qid", "type"), path, number
            )
            options = tuple(str(row[f"a{place}"]) for place in range(5) if row.get(f"a{place}") is not None)
            name = places.get(str(video), str(video))
            folders = [folder / "NExTVideo", folder / "videos", folder]
            file = find_video([*folders, *(place / Path(name).parent for place in folders)], Path(name).name)
            found.append(
                VideoQuestion(
                    id=f"{video}_{key}",
                    video=find_video(folders, str(video)) if not file.exists() else file,
                    question=f"{str(text).rstrip('?')}?",
                    options=options,
                    answer=letter_index(int(answer), options),
                    kind=str(kind),
                    tags={"group": _GROUPS.get(str(kind)[:1], "other")},
                )
            )
        return found


def _vidor(folder: Path) -> dict[str, str]:
    path = folder / "map_vid_vidorID.json"
    if not path.exists():
        return {}
    try:
        return {
            str(key): str(value) for key, value in read_json(path, error=DataError, expected="names of videos").items()
        }
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: expected {{video: folder/name}} ({error})") from None
