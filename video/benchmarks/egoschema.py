"""EgoSchema (Mangalam et al., arXiv 2308.09126): five options; answers of a subset of 500 are public."""

from dataclasses import dataclass
from typing import Literal

from namm_xmodal.errors import DataError
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.video.benchmarks.benchmark import LetterBenchmark, letter_index
from namm_xmodal.video.benchmarks.files import fields_of, find_video, first_existing, folder_of, read_rows
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
        path = first_existing(folder, ("questions.json", "*.parquet", f"{self.split.title()}/*.parquet", "*/*.parquet"))
        if path is None:
            raise DataError(f"{folder}: no questions.json and no parquet file; expected the folder of EgoSchema")
        answers = _public_answers(folder / "subset_answers.json")
        found = []
        for number, row in enumerate(read_rows(path)):
            key = row.get("q_uid") or row.get("video_idx")
            (text,) = fields_of(row, ("question",), path, number)
            if key is None:
                raise DataError(f"{path}: question {number} lacks q_uid; is it another release of the benchmark?")
            options = tuple(map(str, row["option"])) if "option" in row else _numbered(row)
            given = row.get("answer", answers.get(str(key)))
            right = letter_index(int(given) if str(given).isdigit() else given, options) if given is not None else None
            if self.split == "subset" and right is None:
                continue
            options = tuple(
                option[3:] if option[:3] == f"{'ABCDE'[at]}. " else option for at, option in enumerate(options)
            )
            video = find_video([folder / "videos", folder], str(row.get("video_idx") or key))
            found.append(VideoQuestion(str(key), video, str(text), options, right, "egoschema"))
        if not found:
            raise DataError(
                f"{folder}: no question has a public answer; subset_answers.json is missing, or use split: full"
            )
        return found


def _numbered(row: dict[str, object]) -> tuple[str, ...]:
    return tuple(str(row[f"option {place}"]) for place in range(5) if row.get(f"option {place}") is not None)


def _public_answers(path: object) -> dict[str, int]:
    from pathlib import Path

    place = Path(str(path))
    if not place.exists():
        return {}
    try:
        return {str(key): int(value) for key, value in read_json(place, error=DataError, expected="answers").items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{place}: expected {{q_uid: number}} ({error})") from None
