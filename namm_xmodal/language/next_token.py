"""Next-token loss: how well the next token of a natural text is predicted, position by position."""

from dataclasses import dataclass
from typing import Any, ClassVar

from namm_xmodal.language.fitting import fit_prompt
from namm_xmodal.language.grid import check_lengths, sample_rng, spread
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.texts import check_texts, find_texts


@dataclass(frozen=True)
class NextToken:
    """A stretch of natural text, scored token by token; there is no question and no answer.

    The loss by position shows what a policy costs: all policies agree until the first eviction, and a good one goes on
    profiting from more context after it.

    Attributes:
        length: Text lengths in tokens; samples are spread over them.
        texts: Source of the natural text, a name of `list_texts()`.
    """

    name: ClassVar[str] = "next_token"
    description: ClassVar[str] = "likelihood of natural text, token by token, by position"
    primary_metric: ClassVar[str] = "token_probability"

    length: tuple[int, ...] = (1024,)
    texts: str = "python-topics"

    def __post_init__(self) -> None:
        check_texts(self.texts)
        check_lengths(self.length, 32)

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`, `document`."""
        lengths = spread(self.length, n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer) for i, length in enumerate(lengths)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any) -> Sample:
        place = draw_place(find_texts(self.texts), length, sample_rng(self.name, seed, index))

        def build(filler: int) -> Sample:
            tags: dict[str, str | int | float] = {"length": length, "document": place.name}
            return Sample(self.name, index, place.read(filler, tokenizer), "", "", (), tags)

        return fit_prompt(build, length, tokenizer)
