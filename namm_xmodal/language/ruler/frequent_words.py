"""RULER's frequent words: a text of made-up words whose frequencies follow Zipf's law."""

import math
import random
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any, ClassVar

from namm_xmodal.errors import ConfigError
from namm_xmodal.language.grid import sample_rng, spread
from namm_xmodal.language.ruler.draws import Draws
from namm_xmodal.language.ruler.sized import RulerTask
from namm_xmodal.language.sample import Sample

NOISE = "..."
_LETTERS = 6
_BEFORE = (
    "Read the following coded text and track the frequency of each coded word. "
    "Find the three most frequently appeared coded words. "
)
_QUESTION = (
    "\nQuestion: Do not provide any explanation. Please ignore the dots '....'. "
    "What are the three most frequently appeared words in the above coded text? "
    "Answer: According to the coded text above, the three most frequently appeared words are:"
)


@dataclass(frozen=True)
class FrequentWords(RulerTask):
    """The word of rank k appears k^-alpha / zeta(alpha) of the time; the first is noise, the next three are asked for.

    There is a word for every 50 tokens of the length.

    Attributes:
        length: Tokens of prompt and answer together, as RULER's `max_seq_length`.
        alpha: Exponent, above 1; smaller is harder.
    """

    name: ClassVar[str] = "fwe"
    description: ClassVar[str] = "RULER: the three most frequent words of a coded text"
    tokens: ClassVar[int] = 50

    alpha: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1.1 <= self.alpha <= 8:
            raise ConfigError(f"alpha: {self.alpha}: expected 1.1 to 8")

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`."""
        lengths = spread(self.length, n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer) for i, length in enumerate(lengths)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any) -> Sample:
        rng = sample_rng(self.name, seed, index)
        draws = Draws(rng)
        words = [NOISE, *(draws.letters(_LETTERS, ascii_lowercase) for _ in range(length // 50 - 1))]
        shares = [rank**-self.alpha / zeta(self.alpha) for rank in range(1, len(words) + 1)]
        shuffle = rng.random()

        def text(count: int) -> str:
            listed = [word for word, share in zip(words, shares, strict=True) for _ in range(int(count * share))]
            random.Random(shuffle).shuffle(listed)
            return " ".join(listed)

        # Filler is counted in tokens, the text in words: what a word takes is measured once.
        each = len(tokenizer(text(1000), add_special_tokens=False)["input_ids"]) / 1000

        def context(filler: int) -> str:
            return _BEFORE + text(max(int(filler / each), 50))

        return self._fitted(index, length, context, _QUESTION, words[1:4], tokenizer, unit=math.ceil(each))


def zeta(exponent: float) -> float:
    """Riemann's zeta function of a real number above 1, by the sum of 50 terms and Euler and Maclaurin's remainder."""
    terms = 50
    rest = terms ** (1 - exponent) / (exponent - 1) - terms**-exponent / 2 + exponent * terms ** (-exponent - 1) / 12
    return float(sum(k**-exponent for k in range(1, terms + 1)) + rest)
