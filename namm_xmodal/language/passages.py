"""Draws stretches of natural text of a given number of tokens."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from namm_xmodal.language.document import Document
from namm_xmodal.language.fitting import TextsTooShortError, cut_to_tokens


@dataclass(frozen=True)
class Place:
    """A place in a source to start reading from: a document and a paragraph in it.

    Attributes:
        documents: All documents of the source.
        first: Index of the document.
        offset: Character at which a paragraph starts.
    """

    documents: Sequence[Document] = field(repr=False)
    first: int
    offset: int

    @property
    def name(self) -> str:
        """Name of the document that the passage starts in."""
        return self.documents[self.first].name

    def read(self, tokens: int, tokenizer: Any) -> str:
        """So many tokens from here on, cut after a whole word; goes on with the next documents where one ends.

        Raises:
            TextsTooShortError: If the whole source is shorter.
        """
        text, least = "", 0
        for piece in self._onwards():
            text = f"{text}\n\n{piece}" if text else piece
            if len(text) >= least:
                if (passage := cut_to_tokens(text, tokens, tokenizer)) is not None:
                    return passage
                least = 2 * len(text)  # doubling keeps the number of times that the text is tokenised small
        if (passage := cut_to_tokens(text, tokens, tokenizer)) is None:
            raise TextsTooShortError(
                f"the texts of {self.documents[0].source} have fewer than {tokens} tokens; use a shorter length or a "
                "larger text source"
            )
        return passage

    def _onwards(self) -> Iterator[str]:
        """The rest of the document, then the documents after it, round to the one before it."""
        yield self.documents[self.first].text[self.offset :].strip("\n")
        for document in (*self.documents[self.first + 1 :], *self.documents[: self.first]):
            yield document.text.strip("\n")


def draw_place(documents: Sequence[Document], tokens: int, rng: random.Random) -> Place:
    """A random paragraph start, in a document that is long enough if any is; long documents are drawn more often.

    Args:
        documents: The source.
        tokens: How much will be read, to choose a document that has it.
        rng: Where the choice comes from.
    """
    needed = 5 * tokens  # characters, on the safe side
    long_enough = [i for i, document in enumerate(documents) if len(document.text) >= needed]
    candidates = long_enough or list(range(len(documents)))
    first = rng.choices(candidates, weights=[len(documents[i].text) for i in candidates])[0]
    text = documents[first].text
    wish = rng.randrange(max(len(text) - needed, 0) + 1)
    paragraph = re.compile(r"\n[ \t]*\n").search(text, wish) if wish else None
    # Without a paragraph break soon enough the passage starts at the document's start: still natural, still fixed.
    offset = paragraph.end() if paragraph and len(text) - paragraph.end() >= min(needed, len(text)) else 0
    return Place(documents, first, offset)


def sentence_starts(text: str) -> list[int]:
    """Characters at which something may be inserted: the start, after each sentence or paragraph, and the end."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"')]*\s+|\n[ \t]*\n\s*", text)]
    return sorted({0, *ends, len(text)})
