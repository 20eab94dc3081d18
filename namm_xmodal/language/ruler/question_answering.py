"""RULER's questions: the paragraphs with the answer among as many others as fit."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.language.fitting import cut_to_tokens
from namm_xmodal.language.grid import sample_rng, spread
from namm_xmodal.language.ruler.question_files import Asked, QuestionFile, read_hotpotqa, read_squad
from namm_xmodal.language.ruler.sized import RulerTask
from namm_xmodal.language.sample import Sample

_ASK = "Answer the question based on the given documents. Only give me the answer and do not output any other words."
_BEFORE = f"{_ASK}\n\nThe following are given documents.\n\n"


@dataclass(frozen=True)
class QuestionAnswering(RulerTask, ABC):
    """A question of a published file, in documents of the same file; the last one that is added may be cut.

    Questions come in random order. Those whose own paragraphs are longer than the prompt are passed over.

    Attributes:
        length: Tokens of prompt and answer together, as RULER's `max_seq_length`.
        data: Path of the published file.
    """

    primary_metric: ClassVar[str] = "string_match_part"
    tokens: ClassVar[int] = 32
    published: ClassVar[str]

    data: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.data:
            raise ConfigError(f"data: missing; download {self.published} and give its path")

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`."""
        lengths = spread(self.length, n, seed, self.name)
        file = self._file()
        questions = list(file.questions)
        sample_rng(self.name, seed, -1).shuffle(questions)
        waiting = iter(questions)
        found = []
        for index, length in enumerate(lengths):
            asked = next((each for each in waiting if self._fits(each, length, tokenizer)), None)
            if asked is None:
                raise DataError(
                    f"n: {n}: {self.data} has {index} questions whose documents fit; use fewer samples or a longer length"
                )
            found.append(self._asked(index, length, asked, file, sample_rng(self.name, seed, index), tokenizer))
        return found

    @abstractmethod
    def _file(self) -> QuestionFile:
        """What `data` holds."""

    def _fits(self, asked: Asked, length: int, tokenizer: Any) -> bool:
        least = _BEFORE + _documents(list(asked.own)) + _question(asked)
        return len(tokenizer(least, verbose=False)["input_ids"]) <= 0.99 * (length - self.tokens)

    def _asked(
        self, index: int, length: int, asked: Asked, file: QuestionFile, rng: random.Random, tokenizer: Any
    ) -> Sample:
        others = list(_others(asked, file, length // 4, rng))
        order = [rng.random() for _ in range(len(asked.own) + len(others))]

        def context(filler: int) -> str:
            documents, left = list(asked.own), filler - _count("\n\n".join(asked.own), tokenizer)
            for other in others:
                if left <= 0:
                    break
                documents.append(cut_to_tokens(other, left, tokenizer) or other)
                left -= _count(other, tokenizer)
            places = sorted(range(len(documents)), key=order.__getitem__)
            return _BEFORE + _documents([documents[place] for place in places])

        return self._fitted(index, length, context, _question(asked), asked.answers, tokenizer)


def _others(asked: Asked, file: QuestionFile, most: int, rng: random.Random) -> Iterator[str]:
    """Documents to be added: those of the same article, then any."""
    near = rng.sample(asked.near, len(asked.near))
    yield from near[:most]
    known = {*asked.own, *near}
    count = min(most + len(known), len(file.paragraphs))
    yield from (each for each in rng.sample(file.paragraphs, count) if each not in known)


def _documents(documents: list[str]) -> str:
    return "\n\n".join(f"Document {number}:\n{text}" for number, text in enumerate(documents, start=1))


def _question(asked: Asked) -> str:
    return f"\n\n{_ASK}\n\nQuestion: {asked.text} Answer:"


def _count(text: str, tokenizer: Any) -> int:
    return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


class Squad(QuestionAnswering):
    """Questions of SQuAD (arXiv:1806.03822)."""

    name = "qa_1"
    description = "RULER: questions of SQuAD, whose file you give"
    published = "SQuAD's dev-v2.0.json (rajpurkar.github.io/SQuAD-explorer)"

    def _file(self) -> QuestionFile:
        return read_squad(self.data)


class HotpotQa(QuestionAnswering):
    """Questions of HotpotQA (arXiv:1809.09600) that need two documents."""

    name = "qa_2"
    description = "RULER: questions of HotpotQA, whose file you give"
    published = "HotpotQA's hotpot_dev_distractor_v1.json (hotpotqa.github.io)"

    def _file(self) -> QuestionFile:
        return read_hotpotqa(self.data)
