"""Keys and values of needles: words, numbers and uuids, all of a sample different."""

import random
import uuid
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from namm_xmodal.extras import need

Kind = Literal["words", "numbers", "uuids"]


@lru_cache
def word_list(kind: Literal["noun", "adjective", "verb"]) -> tuple[str, ...]:
    """Words of the package wonderwords (MIT), in its order: 6,782 nouns, 912 adjectives or 1,042 verbs in version 3.0.1.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    need("wonderwords", "the word list of RULER")
    text = (files("wonderwords") / "assets" / f"{kind}list.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def all_words() -> list[str]:
    """Every word once, sorted."""
    return sorted({*word_list("noun"), *word_list("adjective"), *word_list("verb")})


class Draws:
    """Draws without repeating itself."""

    def __init__(self, rng: random.Random) -> None:
        """Draws nothing yet.

        Args:
            rng: Where the draws come from.
        """
        self._rng = rng
        self._drawn: set[str] = set()

    def draw(self, kind: Kind) -> str:
        """An adjective and a noun with a hyphen between them, a number of seven digits, or a random uuid."""
        while (drawn := self._one(kind)) in self._drawn:
            pass
        self._drawn.add(drawn)
        return drawn

    def letters(self, count: int, alphabet: str) -> str:
        """So many random letters."""
        while (drawn := "".join(self._rng.choices(alphabet, k=count))) in self._drawn:
            pass
        self._drawn.add(drawn)
        return drawn

    def _one(self, kind: Kind) -> str:
        if kind == "words":
            return f"{self._rng.choice(word_list('adjective'))}-{self._rng.choice(word_list('noun'))}"
        if kind == "numbers":
            return str(self._rng.randint(10**6, 10**7 - 1))
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
