"""Prints untrusted text without interpreting control characters in it."""

import re
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Control characters but tab and newline, marks that turn the direction of writing, line separators, lone surrogates.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""The same with every character that would steer a terminal written out, as `\x1b`."""
    return _UNSEEN.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


class PlainConsole(Console):
    """A console that prints `[red]` as it stands, and no control character but its own.

    Labels, paths and contents of files reach the terminal through many tables and messages; all pass through `render`.
    """

    def __init__(
        self, *, file: IO[str] | None = None, stderr: bool = False, width: int | None = None, soft_wrap: bool = False
    ) -> None:
        """See `rich.console.Console`."""
        super().__init__(
            file=file, stderr=stderr, width=width, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False
        )

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `rich.console.Console.render`."""
        for segment in super().render(renderable, options):
            text: Any = segment.text
            yield segment if segment.control else Segment(printable(text), segment.style)
