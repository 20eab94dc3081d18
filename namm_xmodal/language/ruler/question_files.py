"""Questions and paragraphs of the published files of SQuAD and HotpotQA."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.trust.files import MIB, check_file
from namm_xmodal.trust.json_text import read_json

MOST_BYTES = 128 * MIB
"""Of a file; the development set of HotpotQA has 47 MB, that of SQuAD 2.0 has 4."""


@dataclass(frozen=True)
class Asked:
    """A question.

    Attributes:
        text: The question.
        answers: Right answers, each once.
        own: Paragraphs that belong to it, the ones with the answer among them.
        near: Other paragraphs of the same article, which are the first to be added.
    """

    text: str
    answers: tuple[str, ...]
    own: tuple[str, ...]
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class QuestionFile:
    """What a file holds.

    Attributes:
        questions: In the order of the file, unanswerable ones left out.
        paragraphs: All of the file, each once, sorted.
    """

    questions: tuple[Asked, ...]
    paragraphs: tuple[str, ...]


def read_squad(path: str) -> QuestionFile:
    """Of `dev-v2.0.json`, or another file in the layout of SQuAD 1.1 or 2.0.

    Raises:
        DataError: If it cannot be read, or has another layout.
    """
    return _read(path, "SQuAD", _squad)


def read_hotpotqa(path: str) -> QuestionFile:
    """Of `hotpot_dev_distractor_v1.json`, or another file in its layout.

    Raises:
        DataError: If it cannot be read, or has another layout.
    """
    return _read(path, "HotpotQA", _hotpotqa)


def _read(path: str, name: str, questions_of: Callable[[Any], list[Asked]]) -> QuestionFile:
    place, expected = Path(path).expanduser(), f"a JSON file in the layout of {name}"
    check_file(place, error=DataError, expected=expected, most=MOST_BYTES)
    return _parsed(place, place.stat().st_mtime_ns, expected, questions_of)


@lru_cache(maxsize=2)  # samples are asked for several times
def _parsed(place: Path, _changed: int, expected: str, questions_of: Callable[[Any], list[Asked]]) -> QuestionFile:
    content = read_json(place, error=DataError, expected=expected, most=MOST_BYTES)
    try:
        questions = questions_of(content)
        paragraphs = sorted({each for asked in questions for each in (*asked.own, *asked.near)})
        texts = [text for asked in questions for text in (asked.text, *asked.answers)]
        if not all(isinstance(each, str) and each.strip() for each in (*texts, *paragraphs)):
            raise TypeError("a question, an answer or a paragraph is not a text")
        if not all(asked.answers and asked.own for asked in questions):
            raise ValueError("a question lacks answers or paragraphs")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{place}: {type(error).__name__}: {error}; expected {expected}") from None
    if not questions:
        raise DataError(f"{place}: no question that can be answered; expected {expected}")
    return QuestionFile(tuple(questions), tuple(paragraphs))


def _squad(content: Any) -> list[Asked]:
    found = []
    for article in content["data"]:
        paragraphs = [paragraph["context"] for paragraph in article["paragraphs"]]
        for paragraph in article["paragraphs"]:
            own = paragraph["context"]
            near = tuple(dict.fromkeys(each for each in paragraphs if each != own))
            for question in paragraph["qas"]:
                if not question.get("is_impossible", False):
                    answers = dict.fromkeys(answer["text"] for answer in question["answers"])
                    found.append(Asked(question["question"], tuple(answers), (own,), near))
    return found


def _hotpotqa(content: Any) -> list[Asked]:
    return [
        Asked(
            row["question"],
            (row["answer"],),
            tuple(dict.fromkeys(f"{title}\n{''.join(sentences)}" for title, sentences in row["context"])),
        )
        for row in content
    ]
