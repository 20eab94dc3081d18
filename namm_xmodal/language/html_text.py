"""HTML to plain text, for prose: no dependency and no layout."""

import re
from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style", "head", "nav"})
_BREAKS = frozenset(
    {"p", "div", "li", "ul", "ol", "dl", "dt", "dd", "tr", "table", "pre", "blockquote", "section", "article", "br"}
    | {f"h{level}" for level in range(1, 7)}
)


def html_to_text(html: str) -> str:
    """Text of a page: blocks become paragraphs, everything else inside a block becomes one line.

    Args:
        html: A whole page or a fragment; unclosed tags are forgiven.
    """
    collector = _Collector()
    collector.feed(html)
    collector.close()
    blocks = ("".join(collector.pieces)).split("\0")
    lines = (re.sub(r"\s+", " ", block).strip() for block in blocks)
    return "\n\n".join(line for line in lines if line)


class _Collector(HTMLParser):
    """Collects visible text; a NUL character marks the edge of a block."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes the edge of a block or the start of something invisible."""
        if tag in _HIDDEN:
            self._hidden += 1
        if tag in _BREAKS:
            self.pieces.append("\0")

    def handle_endtag(self, tag: str) -> None:
        """Notes the edge of a block or the end of something invisible."""
        if tag in _HIDDEN and self._hidden:
            self._hidden -= 1
        if tag in _BREAKS:
            self.pieces.append("\0")

    def handle_data(self, data: str) -> None:
        """Keeps visible text."""
        if not self._hidden:
            self.pieces.append(data)
