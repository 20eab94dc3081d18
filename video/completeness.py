"""Detects truncated files, whose header declares more than the file holds."""

from pathlib import Path
from typing import Any


def missing_part(container: Any, stream: Any, path: Path, packets: int, frames: int, hidden: int) -> str:
    """What is promised and absent, in words; empty for a whole file, and for containers that promise nothing.

    Args:
        container: Read to its end.
        stream: The video.
        path: The file.
        packets: Whole packets found.
        frames: Frames found.
        hidden: Packets found that an edit list hides.
    """
    size = path.stat().st_size
    if "mov" in container.format.name:
        entries = stream.index_entries
        if len(entries) > packets and any(each.pos + each.size > size for each in entries):
            return f"only {frames} of {len(entries) - hidden} declared frames exist"
        return ""
    with path.open("rb") as file:
        head = file.read(64)
    promised = _riff_bytes(head) if head.startswith(b"RIFF") else _matroska_bytes(head)
    return f"only {size:,} of {promised:,} declared bytes exist, {frames} frames" if promised > size else ""


def _riff_bytes(head: bytes) -> int:
    """Length of an AVI file, of its first part where it has several; 0 if unknown."""
    # The 8 bytes before it are not counted: some programs are off by as many.
    length = int.from_bytes(head[4:8], "little")
    return 0 if length == 0xFFFFFFFF else length


def _matroska_bytes(head: bytes) -> int:
    """End of the segment of a Matroska or WebM file; 0 if it is another file or, as of live streams, unknown."""
    if not head.startswith(b"\x1a\x45\xdf\xa3"):
        return 0
    length, at = _number(head, 4)
    at += length
    if head[at : at + 4] != b"\x18\x53\x80\x67":
        return 0
    length, start = _number(head, at + 4)
    return 0 if length == 2 ** (7 * (start - at - 4)) - 1 else start + length


def _number(head: bytes, at: int) -> tuple[int, int]:
    """A variable-length number of EBML, and where it ends."""
    width = 9 - head[at].bit_length() if any(head[at : at + 1]) else 0
    return int.from_bytes(head[at : at + width], "big") & (2 ** (7 * width) - 1), at + width
