"""RULER's common words: a numbered list in which ten words appear more often than all others."""

import math
import random
from dataclasses import dataclass
from typing import Any, ClassVar

from namm_xmodal.errors import DataError
from namm_xmodal.language.grid import sample_rng, spread
from namm_xmodal.language.ruler.draws import all_words
from namm_xmodal.language.ruler.sized import RulerTask
from namm_xmodal.language.sample import Sample

COMMON = 10
_LONG = 4096
_BEFORE = (
    "Below is a numbered list of words. In these words, some appear more often than others. "
    "Memorize the ones that appear most often.\n"
)
_QUESTION = (
    "\nQuestion: What are the 10 most common words in the above list? "
    "Answer: The top 10 words that appear most often in the list are:"
)


@dataclass(frozen=True)
class CommonWords(RulerTask):
    """Ten words stand 30 times in the list, the others 3 times; a solved example stands before it.

    Below 4,096 tokens, as in RULER, they stand 6 times and once, and the example is shorter.

    Attributes:
        length: Tokens of prompt and answer together, as RULER's `max_seq_length`.
    """

    name: ClassVar[str] = "cwe"
    description: ClassVar[str] = "RULER: the ten most common words of a numbered list"
    tokens: ClassVar[int] = 120

    length: tuple[int, ...] = (2048,)

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`."""
        lengths = spread(self.length, n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer) for i, length in enumerate(lengths)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any) -> Sample:
        rng = sample_rng(self.name, seed, index)
        often, seldom = (30, 3) if length >= _LONG else (6, 1)
        words = rng.sample(all_words(), len(all_words()))
        shown = rng.sample(words, 40 if length >= _LONG else 20)
        solved = _numbered(_listed(shown, *((10, 3) if length >= _LONG else (3, 1)), rng))
        example = f"{_BEFORE}{solved}{_QUESTION}{_numbered(shown[:COMMON])}\n{_BEFORE}"
        shuffle = rng.random()
        # Filler is counted in tokens, the list in words: what a word takes is measured once.
        trial = _numbered(_listed(words[:100], 1, 1, random.Random(shuffle)))
        each = seldom * len(tokenizer(trial, add_special_tokens=False)["input_ids"]) / 100

        def context(filler: int) -> str:
            count = max(int(filler / each), COMMON + 1)
            if count > len(words):
                raise DataError(
                    f"length: {length}: the word lists have {len(words):,} words, too few; use a shorter length"
                )
            return example + _numbered(_listed(words[:count], often, seldom, random.Random(shuffle)))

        return self._fitted(index, length, context, _QUESTION, words[:COMMON], tokenizer, unit=math.ceil(each))


def _listed(words: list[str], often: int, seldom: int, rng: random.Random) -> list[str]:
    """The first ten words `often` times, the others `seldom` times, in random order."""
    listed = words[:COMMON] * often + words[COMMON:] * seldom
    rng.shuffle(listed)
    return listed


def _numbered(words: list[str]) -> str:
    return " ".join(f"{number}. {word}" for number, word in enumerate(words, start=1))
