"""RULER's variable tracking: assignments from variable to variable in noise; all that hold a value are asked for."""

import random
import re
from dataclasses import dataclass
from itertools import pairwise
from string import ascii_uppercase
from typing import Any, ClassVar

from namm_xmodal.errors import ConfigError
from namm_xmodal.language.fitting import cut_to_last_tokens
from namm_xmodal.language.grid import sample_rng, spread
from namm_xmodal.language.needles import insert
from namm_xmodal.language.ruler.draws import Draws
from namm_xmodal.language.ruler.niah import NOISE
from namm_xmodal.language.ruler.sized import RulerTask
from namm_xmodal.language.sample import Sample

_BEFORE = "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n"
_EXAMPLE_LINES = 10  # what RULER's search finds for its 500 tokens
_MOST_EXAMPLE_HOPS = 10
_SHORTEST_LINE = 15  # tokens of a line of noise, in any tokenizer


@dataclass(frozen=True)
class VariableTracking(RulerTask):
    """`VAR ABCDE = 12345`, further on `VAR FGHIJ = VAR ABCDE`, and so on; a solved example stands before the text.

    Attributes:
        length: Tokens of prompt and answer together, as RULER's `max_seq_length`.
        chains: Chains of assignments, of which the first is asked for.
        hops: Assignments of a chain after its first.
    """

    name: ClassVar[str] = "vt"
    description: ClassVar[str] = "RULER: all variables that a value was handed to, in repeated noise"
    tokens: ClassVar[int] = 30

    chains: int = 1
    hops: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chains < 1 or self.hops < 1:
            raise ConfigError(f"chains, hops: {self.chains}, {self.hops}: expected at least 1 of each")

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`."""
        lengths = spread(self.length, n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer) for i, length in enumerate(lengths)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any) -> Sample:
        rng = sample_rng(self.name, seed, index)
        draws = Draws(rng)
        example = self._solved(draws, rng)
        facts, names, value = self._assignments(draws, rng, 5, self.hops)
        noise = " ".join([f"{NOISE}\n"] * (length // _SHORTEST_LINE))

        def context(filler: int) -> str:
            return example + _BEFORE + _hidden(facts, cut_to_last_tokens(noise, filler, tokenizer))

        hint = ", or fewer hops and chains"
        return self._fitted(index, length, context, _question(value, len(names)), names, tokenizer, hint=hint)

    def _solved(self, draws: Draws, rng: random.Random) -> str:
        """The example, of short names in ten lines, with its answer."""
        facts, names, value = self._assignments(draws, rng, 3, min(self.hops, _MOST_EXAMPLE_HOPS))
        text = _hidden(facts, " ".join([f"{NOISE}\n"] * _EXAMPLE_LINES))
        return f"{_BEFORE}{text}{_question(value, len(names))} {' '.join(names)}\n\n\n\n"

    def _assignments(
        self, draws: Draws, rng: random.Random, letters: int, hops: int
    ) -> tuple[list[tuple[float, str]], list[str], str]:
        """All chains as depths and statements; the names and the value of the first."""
        chains = [[draws.letters(letters, ascii_uppercase) for _ in range(hops + 1)] for _ in range(self.chains)]
        values = [str(value) for value in rng.sample(range(10_000, 99_999), self.chains)]
        facts = []
        for chain, value in zip(chains, values, strict=True):
            statements = [f"VAR {chain[0]} = {value}"]
            statements += [f"VAR {name} = VAR {source} " for source, name in pairwise(chain)]
            # A statement never stands before the one that it refers to.
            facts += list(zip(sorted(rng.random() for _ in statements), statements, strict=True))
        return facts, chains[0], values[0]


def _hidden(facts: list[tuple[float, str]], noise: str) -> str:
    """Noise with a statement before some of its lines."""
    return insert(facts, noise, [0, *(match.end() for match in re.finditer("\n ", noise))])


def _question(value: str, count: int) -> str:
    return (
        f"\nQuestion: Find all variables that are assigned the value {value} in the text above. Answer: According to the "
        f"chain(s) of variable assignment in the text above, {count} variables are assigned the value {value}, they are: "
    )
