"""Facts that no text contains: names with locker numbers, hidden in natural text."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from namm_xmodal.language.passages import sentence_starts

NAMES = (
    "Abigail", "Benjamin", "Caroline", "Dominic", "Eleanor", "Frederick", "Gabriella", "Harrison", "Isabella", "Jonathan",
    "Katherine", "Leonardo", "Margaret", "Nathaniel", "Olivia", "Patrick", "Rebecca", "Sebastian", "Theresa", "Vincent",
    "Amelia", "Bernard", "Charlotte", "Douglas", "Evelyn", "Francis", "Gloria", "Hector", "Irene", "Julian",
    "Lucille", "Martin", "Nicole", "Oscar", "Penelope", "Raymond", "Sylvia", "Tobias", "Veronica", "Walter",
)  # fmt: skip


@dataclass(frozen=True)
class Needle:
    """A fact and where it goes.

    Attributes:
        name: A first name.
        number: Five digits.
        depth: Where in the text, between 0 (start) and 1 (end).
    """

    name: str
    number: str
    depth: float

    @property
    def sentence(self) -> str:
        """The fact as it stands in the text."""
        return f"The locker number of {self.name} is {self.number}."

    @property
    def question(self) -> str:
        """What is asked after the text."""
        return f"\n\nQuestion: What is the locker number of {self.name}?\nAnswer: The locker number of {self.name} is"

    @property
    def answer(self) -> str:
        """The right continuation of the question."""
        return f" {self.number}"


def draw_needles(depths: Sequence[float], rng: random.Random) -> list[Needle]:
    """A needle for each depth; names and numbers all different.

    Args:
        depths: Numbers between 0 and 1, at most as many as there are names.
        rng: Where names and numbers come from.
    """
    names = rng.sample(NAMES, len(depths))
    numbers = rng.sample(range(10_000, 100_000), len(depths))
    return [Needle(*fact) for fact in zip(names, map(str, numbers), depths, strict=True)]


def hide(needles: Sequence[Needle], text: str) -> str:
    """Puts each needle between two sentences of a text, at the place nearest to its depth.

    Args:
        needles: What to hide; several that land on one place stay in order of depth.
        text: Natural text.
    """
    facts = [(needle.depth, needle.sentence) for needle in needles]
    return insert(facts, text, sentence_starts(text)).rstrip()


def insert(facts: Sequence[tuple[float, str]], text: str, places: Sequence[int], joint: str = " ") -> str:
    """Puts each sentence at that place of a text which is nearest to its depth.

    Args:
        facts: Depth, between 0 (start) and 1 (end), and sentence; several that land on one place stay in order of depth.
        text: The text.
        places: Characters at which something may be inserted.
        joint: What stands after each sentence; also before it where the text has no white space there.
    """
    pieces, last = [], 0
    for depth, sentence in sorted(facts, key=lambda fact: fact[0]):
        place = min(places, key=lambda start: abs(start - depth * len(text)))
        before = text[last:place]
        gap = joint if before and not before[-1].isspace() else ""  # the end of the text is cut after a word
        pieces += [before, gap, sentence, joint]
        last = place
    return "".join([*pieces, text[last:]])
