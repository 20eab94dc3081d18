"""Which items of a suite are tokenised before a run: all would take hours where each has 200,000 tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from namm_xmodal.errors import ItemError
from namm_xmodal.language.suites.task import SuiteTask

SHORT = 16
"""Characters for each token of an update. A prompt of fewer may be too short to be pruned, and is quick to tokenise."""


@dataclass(frozen=True)
class Lookahead:
    """What the text of a task's items tells.

    Attributes:
        broken: Number of each item that cannot be asked to the reason, with file and line.
        characters: Number of each other item to the length of its prompt, before it is cut to the model.
        numbers: Those to be tokenised: the first, the longest, and all that are short.
    """

    broken: Mapping[int, str]
    characters: Mapping[int, int]
    numbers: tuple[int, ...]

    def longer_than(self, most: int | None, tokens_of_each: float) -> list[int]:
        """Items that are not tokenised and most likely have more than `most` tokens.

        Args:
            most: Tokens; None for any number.
            tokens_of_each: Tokens of a character, as of an item that was tokenised.
        """
        if most is None:
            return []
        left = {number: size for number, size in self.characters.items() if number not in self.numbers}
        return [number for number, size in left.items() if size * tokens_of_each > most]


def look_ahead(task: SuiteTask, count: int, update_every: int, tokenizer: Any) -> Lookahead:
    """Reads and fills in every item, without tokenising any.

    Args:
        task: A task that knows its model.
        count: Items.
        update_every: Tokens of an update.
        tokenizer: Of the model, for its chat template.

    Raises:
        NammError: What no item of the task can be without, such as a chat template or a package.
    """
    broken: dict[int, str] = {}
    characters: dict[int, int] = {}
    for number in range(count):
        try:
            whole = task.whole(number, tokenizer)
        except ItemError as error:
            broken[number] = str(error)
            continue
        characters[number] = len(whole.context) + len(whole.question)
    numbers = {number for number, size in characters.items() if size < SHORT * update_every}
    if characters:
        numbers |= {min(characters), max(characters, key=characters.__getitem__)}
    return Lookahead(broken, characters, tuple(sorted(numbers)))
