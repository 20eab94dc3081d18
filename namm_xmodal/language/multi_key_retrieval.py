"""Multi-key retrieval: several facts of one kind in a natural text, one of them asked for at the end."""

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from namm_xmodal.errors import ConfigError
from namm_xmodal.language.fitting import fit_prompt
from namm_xmodal.language.grid import check_depths, check_lengths, sample_rng, spread
from namm_xmodal.language.needles import draw_needles, hide
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.texts import check_texts, find_texts


@dataclass(frozen=True)
class MultiKeyRetrieval:
    """Several names with their locker numbers; only one is asked for, and no one knows which until the end.

    A cache that keeps one salient fact is not enough: it must keep all of them, and names with their numbers. Naming
    any of the numbers at random is right once in `keys` times.

    Attributes:
        length: Prompt lengths in tokens; samples are spread over all pairs of length and depth.
        depth: Where the fact that is asked for stands, between 0 (start of the text) and 1 (end). The others are
            spread over the whole text at random.
        keys: Number of facts, 2 to 16.
        texts: Source of the natural text, a name of `list_texts()`.
    """

    name: ClassVar[str] = "multi_key_retrieval"
    description: ClassVar[str] = "several names' locker numbers hidden in natural text, one asked for at the end"
    primary_metric: ClassVar[str] = "answer_probability"

    length: tuple[int, ...] = (512, 1024)
    depth: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    keys: int = 4
    texts: str = "python-topics"

    def __post_init__(self) -> None:
        check_texts(self.texts)
        if not 2 <= self.keys <= 16:
            raise ConfigError(f"keys: {self.keys}: expected 2 to 16 facts; for one use key_retrieval")
        check_lengths(self.length, 96 + 24 * self.keys)
        check_depths(self.depth)

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`, `depth` (of the fact asked for), `keys`, `document`."""
        cells = spread(list(product(self.length, self.depth)), n, seed, self.name)
        return [self._sample(i, *cell, seed, tokenizer) for i, cell in enumerate(cells)]

    def _sample(self, index: int, length: int, depth: float, seed: int, tokenizer: Any) -> Sample:
        rng = sample_rng(self.name, seed, index)
        place = draw_place(find_texts(self.texts), length, rng)
        others = [round(rng.random(), 3) for _ in range(self.keys - 1)]
        needles = draw_needles([depth, *others], rng)
        asked = needles[0]

        def build(filler: int) -> Sample:
            context = hide(needles, place.read(filler, tokenizer))
            tags: dict[str, str | int | float] = {
                "length": length,
                "depth": depth,
                "keys": self.keys,
                "document": place.name,
            }
            return Sample(self.name, index, context, asked.question, asked.answer, (), tags)

        return fit_prompt(build, length, tokenizer, ", or fewer keys")
