"""GitHub's Markdown as Python-Markdown reads it: nested blocks indented by four, lists and tables after a blank line.

Headings get the anchors that they have there.
"""

import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from pymdownx.slugs import slugify

ITEM = re.compile(r"(?:[*+-]|\d{1,3}[.)]) +(?=\S)")
FENCE = re.compile(r"(?P<marks>`{3,}|~{3,})")


def on_config(config: MkDocsConfig, **_: Any) -> MkDocsConfig:
    """Anchors: in lower case, each space a hyphen."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slugify(case="lower")
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Every page passes through."""
    return "\n".join(translated(markdown.split("\n")))


def translated(lines: list[str]) -> list[str]:
    """The same lines, indented by four for each list that they stand in, with blank lines where blocks begin."""
    out: list[str] = []
    columns: list[int] = []  # where the text of each open list item begins
    start = 0  # where the newest item stands in `out`
    fence, before = "", ""  # the marks of an open block of code; the kind of the line before
    for line in lines:
        text = line.lstrip(" ")
        if not text:
            out.append("")
            before = ""
            continue
        indent = len(line) - len(text)
        within = bool(columns)
        if not fence:
            # A line that continues a paragraph may be indented less than the item that it belongs to.
            closes = before != "text" or ITEM.match(text) or FENCE.match(text)
            while closes and columns and indent < columns[-1]:
                columns.pop()
        item, mark = (None, None) if fence else (ITEM.match(text), FENCE.match(text))
        kind = "item" if item else "fence" if mark or fence else "table" if text.startswith("|") else "text"
        parted = not within or "" in out[start:]  # after a second paragraph of an item, the next one needs a blank line
        begins = {"item": parted, "table": True, "fence": mark is not None}.get(kind, False)
        if begins and before in ("item", "text"):
            out.append("")
        depth = len(columns)
        out.append(" " * (4 * depth + max(0, indent - (columns[-1] if columns else 0))) + text)
        if fence and text.strip() == fence:
            out.append("")
            fence, before = "", ""
            continue
        if mark:
            fence = mark["marks"]
        before = "item" if item else "text" if kind == "text" and not text.startswith("#") else kind
        if item:
            columns.append(indent + len(item.group()))
            start = len(out)
    return out
