"""RULER's needles in a haystack: magic numbers or uuids of one or more keys, in noise, in essays or among other needles."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar, Literal

from namm_xmodal.errors import ConfigError
from namm_xmodal.language.fitting import cut_to_last_tokens
from namm_xmodal.language.grid import check_depths, check_lengths, sample_rng, spread
from namm_xmodal.language.needles import insert
from namm_xmodal.language.passages import draw_place, sentence_starts
from namm_xmodal.language.ruler.draws import Draws, Kind
from namm_xmodal.language.ruler.sized import RulerTask, Tags
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.texts import check_texts, find_texts

NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
_DEPTHS = tuple(round(100 * step / 39) / 100 for step in range(40))
_SHORTEST_LINE = 10  # tokens of a line of noise or of a needle, in any tokenizer


@dataclass(frozen=True)
class Niah(RulerTask):
    """Needles such as `One of the special magic numbers for bad-cat is: 1234567.`, asked for by their keys.

    Attributes:
        haystack: What they are hidden in: `repeat` (five sentences again and again), `essay` or `needle` (needles of other
            keys).
        keys: What keys are.
        values: What values are.
        num_keys: Needles' keys that are hidden.
        num_values: Values of each key.
        num_queries: Keys that are asked for.
        length: Tokens of prompt and answer together, as RULER's `max_seq_length`.
        depth: Where the needle that is asked for stands, between 0 (start) and 1 (end); samples are spread over all pairs
            of length and depth. None given: RULER's forty, at random. Only of tasks with a single answer.
        texts: Source of essays, a name of `list_texts()`.
    """

    tokens: ClassVar[int] = 128
    haystack: ClassVar[Literal["repeat", "essay", "needle"]]
    keys: ClassVar[Kind] = "words"
    values: ClassVar[Kind] = "numbers"
    num_keys: ClassVar[int] = 1
    num_values: ClassVar[int] = 1
    num_queries: ClassVar[int] = 1

    depth: tuple[float, ...] = ()
    texts: str = "python-topics"

    def __post_init__(self) -> None:
        check_lengths(self.length, self.least_length)
        check_texts(self.texts)
        if self.depth:
            check_depths(self.depth)
            if not self._single:
                raise ConfigError(f"depth: {list(self.depth)}: {self.name} asks for several needles; leave depth out")

    @property
    def _single(self) -> bool:
        return self.num_values * self.num_queries == 1

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`; of a single answer `depth`; of essays `document`."""
        cells = spread(list(product(self.length, self.depth or (None,))), n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer, depth) for i, (length, depth) in enumerate(cells)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any, depth: float | None = None) -> Sample:
        rng = sample_rng(self.name, seed, index)
        draws = Draws(rng)
        values = {
            draws.draw(self.keys): [draws.draw(self.values) for _ in range(self.num_values)]
            for _ in range(self.num_keys)
        }
        asked = rng.sample(list(values), self.num_queries)
        answers = [value for key in asked for value in values[key]]
        depths = rng.sample(_DEPTHS, len(values) * self.num_values)
        needles = [(key, value) for key in values for value in values[key]]
        if depth is not None:
            depths[needles.index((asked[0], answers[0]))] = depth
        facts = [(at, self._needle(*needle)) for at, needle in zip(depths, needles, strict=True)]
        tags: dict[str, str | int | float] = {}
        if self._single:
            tags["depth"] = depths[needles.index((asked[0], answers[0]))]
        haystack, more = self._haystack(length, draws, rng, tokenizer)
        before, question = self._template(asked)

        def context(filler: int) -> str:
            text, places, joint = haystack(filler)
            return before + insert(facts, text, places, joint).rstrip()

        return self._fitted(index, length, context, question, answers, tokenizer, {**tags, **more})

    def _needle(self, key: str, value: str) -> str:
        return f"One of the special magic {self.values} for {key} is: {value}."

    def _template(self, asked: Sequence[str]) -> tuple[str, str]:
        """What stands before the haystack, and the question with the prefix of its answer."""
        if self._single:
            thing, (key,) = self.values.removesuffix("s"), asked
            before = f"A special magic {thing} is hidden within the following text."
            question = f"What is the special magic {thing} for {key} mentioned in the provided text?"
            prefix = f"The special magic {thing} for {key} mentioned in the provided text is"
        else:
            thing = self.values
            key = asked[0] if len(asked) == 1 else f"{', '.join(asked[:-1])}, and {asked[-1]}"
            before = f"Some special magic {thing} are hidden within the following text."
            question = f"What are all the special magic {thing} for {key} mentioned in the provided text?"
            prefix = f"The special magic {thing} for {key} mentioned in the provided text are"
        before += f" Make sure to memorize it. I will quiz you about the {thing} afterwards.\n"
        return before, f"\n{question} {prefix}"

    def _haystack(
        self, length: int, draws: Draws, rng: random.Random, tokenizer: Any
    ) -> tuple[Callable[[int], tuple[str, list[int], str]], Tags]:
        """From a number of tokens to a text, the places where needles may go and what parts them; and its tags."""
        if self.haystack == "essay":
            place = draw_place(find_texts(self.texts), length, rng)

            def essay(filler: int) -> tuple[str, list[int], str]:
                text = " ".join(place.read(filler, tokenizer).split())
                return text, sentence_starts(text), " "

            return essay, {"document": place.name}
        count = length // _SHORTEST_LINE
        if self.haystack == "repeat":
            lines = [NOISE] * count
        else:
            lines = [self._needle(draws.draw(self.keys), draws.draw(self.values)) for _ in range(count)]
        whole = "\n".join(lines)

        def cut(filler: int) -> tuple[str, list[int], str]:
            text = cut_to_last_tokens(whole, filler, tokenizer)
            return text, [0, *(match.end() for match in re.finditer("\n", text)), len(text)], "\n"

        return cut, {}
