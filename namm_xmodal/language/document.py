"""One text and what may be done with it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Document:
    """A piece of natural text.

    Attributes:
        name: Unique within its source: a topic, a file, a book.
        text: The text, with Unix line breaks.
        source: Package and version that it was read from.
        licence: As its package states it.
    """

    name: str
    text: str = field(repr=False)
    source: str
    licence: str
