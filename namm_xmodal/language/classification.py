"""Few-shot classification: kinds of real code lines under made-up labels, to be learnt from the examples alone."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.language.fitting import cut_to_last_tokens, fit_prompt
from namm_xmodal.language.grid import check_lengths, sample_rng, spread
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.statement_kinds import KINDS, lines_by_kind
from namm_xmodal.language.texts import check_texts, find_texts

LABELS = ("red", "blue", "green", "gold", "pink", "black", "white", "gray")
_FEWEST_LINES = 20  # different lines that a kind must have to be a class


@dataclass(frozen=True)
class Classification:
    """Lines such as `raise ValueError(x) -> gold`; the last one's label is wanted.

    Labels are colours, dealt out anew in each sample, so nothing but the examples in the cache says what they mean.
    (With labels that mean something, SmolLM2-135M is right five times in eight without any example: a poor test of
    memory.) Chance is 1 in `classes`.

    Attributes:
        length: Prompt lengths in tokens; samples are spread over them. 1,024 tokens hold about 70 examples.
        classes: Number of kinds, 2 to 8.
        texts: Source of the code, a name of `list_texts()`.
    """

    name: ClassVar[str] = "classification"
    description: ClassVar[str] = "few-shot classification of code lines under arbitrary labels"
    primary_metric: ClassVar[str] = "accuracy"

    length: tuple[int, ...] = (1024,)
    classes: int = 4
    texts: str = "python-source"

    def __post_init__(self) -> None:
        check_texts(self.texts)
        if not 2 <= self.classes <= len(LABELS):
            raise ConfigError(f"classes: {self.classes}: expected 2 to {len(LABELS)}")
        check_lengths(self.length, 64 * self.classes)

    def samples(self, n: int, *, seed: int, tokenizer: Any) -> list[Sample]:
        """See `Task.samples`. Tags: `length`, `classes`, `kind`."""
        lengths = spread(self.length, n, seed, self.name)
        return [self._sample(i, length, seed, tokenizer) for i, length in enumerate(lengths)]

    def _sample(self, index: int, length: int, seed: int, tokenizer: Any) -> Sample:
        rng = sample_rng(self.name, seed, index)
        lines = self._classes(rng)
        labels = rng.sample(LABELS, self.classes)
        asked = rng.choice(sorted(lines))
        label = dict(zip(lines, labels, strict=True))
        line = rng.choice(lines[asked])
        # An example takes 7 tokens at least, in any tokenizer that does not know whole lines.
        examples = "\n".join(_examples(lines, label, line, length // 7 + self.classes, rng))
        choices = tuple(f" {colour}" for colour in labels)
        tags: dict[str, str | int | float] = {"length": length, "classes": self.classes, "kind": asked}

        def build(filler: int) -> Sample:
            # The first example may be cut, as in any text that began earlier.
            context = cut_to_last_tokens(examples, filler, tokenizer)
            return Sample(self.name, index, context, f"\n{line} ->", f" {label[asked]}", choices, tags)

        return fit_prompt(build, length, tokenizer)

    def _classes(self, rng: random.Random) -> dict[str, Sequence[str]]:
        """The sample's kinds and their lines."""
        pools = {kind: lines for kind, lines in lines_by_kind(self.texts).items() if len(lines) >= _FEWEST_LINES}
        if len(pools) < self.classes:
            raise DataError(
                f"texts {self.texts}: {len(pools)} kinds of code lines in {len(find_texts(self.texts))} documents, "
                f"expected {self.classes} of {len(KINDS)}; use python-source"
            )
        return {kind: pools[kind] for kind in rng.sample(sorted(pools), self.classes)}


def _examples(
    lines: dict[str, Sequence[str]], label: dict[str, str], asked: str, count: int, rng: random.Random
) -> list[str]:
    """Labelled lines; each block of twice the classes has every class twice, so none is missing by bad luck."""
    examples: list[str] = []
    while len(examples) < count:
        block = [*lines, *lines]
        rng.shuffle(block)
        for kind in block:
            line = rng.choice(lines[kind])
            if line != asked:  # the answer is never in the text itself
                examples.append(f"{line} -> {label[kind]}")
    return examples
