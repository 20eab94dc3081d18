"""Key retrieval: one fact somewhere in a natural text, asked for at the end."""

from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from namm_xmodal.language.fitting import fit_prompt
from namm_xmodal.language.grid import check_depths, check_lengths, sample_rng, spread
from namm_xmodal.language.needles import draw_needles, hide
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.texts import check_texts, find_texts


@dataclass(frozen=True)
class KeyRetrieval:
    """A name's locker number, hidden between two sentences of natural text.

    Nobody can guess the number (1 in 90,000), so an answer is right only if the cache still holds it.

    Attributes:
        length: Prompt lengths in tokens; samples are spread over all pairs of length and depth.
        depth: Where the fact stands, between 0 (start of the text) and 1 (end).
        texts: Source of the natural text, a name of `list_texts()`.
    """

    name: ClassVar[str] = "key_retrieval"
    description: ClassVar[str] = "a name's locker number hidden in natural text, asked for at the end"
    primary_metric: ClassVar[str] = "answer_probability"
    least_length: ClassVar[int] = 96

    length: tuple[int, ...] = (512, 1024)
    depth: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    texts: str = "python-topics"

    def __post_init__(self) -> None:
        check_texts(self.texts)
        check_lengths(self.length, self.least_length)
        check_depths(self.depth)

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`, `depth`, `document`."""
        cells = spread(list(product(self.length, self.depth)), n, seed, self.name)
        return [self._sample(i, *cell, seed, tokenizer) for i, cell in enumerate(cells)]

    def _sample(self, index: int, length: int, depth: float, seed: int, tokenizer: Any) -> Sample:
        rng = sample_rng(self.name, seed, index)
        place = draw_place(find_texts(self.texts), length, rng)
        (needle,) = draw_needles([depth], rng)

        def build(filler: int) -> Sample:
            context = hide([needle], place.read(filler, tokenizer))
            tags: dict[str, str | int | float] = {"length": length, "depth": depth, "document": place.name}
            return Sample(self.name, index, context, needle.question, needle.answer, (), tags)

        return fit_prompt(build, length, tokenizer)
