"""Parses generated text into an option; text without an option counts as unparsed and is never guessed."""

import re
from collections.abc import Sequence

from namm_xmodal.video.benchmarks.answers import LETTERS


def parse_choice(text: str, options: Sequence[str]) -> int | None:
    """The option that a text chooses.

    In this order: a letter alone; a letter with `.`, `)` or `:` at the start; the last "answer/option/choice is X"; the
    last letter in parentheses; a letter with a full stop or colon inside the text; a lone capital letter that is neither
    the article nor "I"; the only option whose words occur. Deviates from lmms-eval, which takes the first capital anywhere
    (the B of "Because") and draws at random when there is none.

    Args:
        text: What the model wrote.
        options: The options' texts.
    """
    letters = LETTERS[: len(options)]
    stripped = text.strip()
    one = f"([{letters}])"
    for pattern in (
        rf"^\(?{one}\)?[.:,)]?$",
        rf"^\(?{one}[.):](?!\w)",
        rf"(?i:answer|option|choice)(?:\s+is)?\s*:?\s*\(?{one}(?![\w'])",
        rf"\({one}\)",
        rf"(?<!\w){one}[.:)](?!\w)",
    ):
        found = re.findall(pattern, stripped)
        if found:
            return letters.index(found[-1])
    lone = re.findall(rf"(?<![\w']){one}(?![\w'])", stripped)
    lone = [letter for letter in lone if letter not in "AI" or stripped.endswith(letter)]  # "A man", "I see": no choice
    if lone:
        return letters.index(lone[-1])
    return only_named(stripped, options)


def only_named(text: str, options: Sequence[str]) -> int | None:
    """The option whose words occur in a text, if it is the only one."""
    lowered = f" {re.sub(r'[^a-z0-9]+', ' ', text.lower())} "
    named = [
        at for at, option in enumerate(options) if f" {re.sub(r'[^a-z0-9]+', ' ', option.lower()).strip()} " in lowered
    ]
    return named[0] if len(named) == 1 else None


def parse_mlvu(text: str, options: Sequence[str]) -> int | None:
    """MLVU's official rule: what stands before the first `)`, or everything, must be a letter of the options."""
    letter = text.split(")")[0].strip().lstrip("(")
    letters = LETTERS[: len(options)]
    return letters.index(letter) if len(letter) == 1 and letter in letters else None
