"""Subtitles in the formats that benchmarks ship, and which of them belong to sampled frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.trust.files import MIB, read_bytes
from namm_xmodal.trust.json_text import read_json as read_json_file


@dataclass(frozen=True)
class Subtitle:
    """A line of text and when it is shown, in seconds."""

    start: float
    end: float
    text: str

    @property
    def middle(self) -> float:
        """Half way."""
        return (self.start + self.end) / 2


def seconds_of(stamp: str) -> float:
    """`HH:MM:SS.mmm` (or with a comma) in seconds."""
    hours, minutes, seconds = stamp.strip().replace(",", ".").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def from_longvideobench(entries: Sequence[dict[str, Any]], offset: float, duration: float) -> tuple[Subtitle, ...]:
    """Both schemas of LongVideoBench: `start`/`end`/`line`, and `timestamp`/`text`.

    Args:
        entries: The JSON list.
        offset: `starting_timestamp_for_subtitles`, which becomes second 0.
        duration: Where a line without an end ends. Deviates: the official loader then subtracts the offset from it too.
    """
    found = []
    for entry in entries:
        if "timestamp" in entry:
            start, end = entry["timestamp"]
            until = float(end) - offset if isinstance(end, int | float) else duration
            found.append(Subtitle(float(start) - offset, until, str(entry["text"])))
        else:
            found.append(
                Subtitle(seconds_of(entry["start"]) - offset, seconds_of(entry["end"]) - offset, str(entry["line"]))
            )
    return tuple(found)


def read_json(path: Path, offset: float, duration: float) -> tuple[Subtitle, ...]:
    """Subtitles of a LongVideoBench file; empty if it is absent.

    Raises:
        DataError: If it is no list of subtitles.
    """
    if not path.exists():
        return ()
    lines = read_json_file(path, error=DataError, expected="subtitles", most=16 * MIB)
    try:
        return from_longvideobench(lines, offset, duration)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: no subtitles in either schema of LongVideoBench ({error})") from None


def read_srt(path: Path) -> tuple[Subtitle, ...]:
    """Subtitles of a SubRip file, markup removed, in their order; empty if it is absent.

    Deviates from lmms-eval, which reads only lines in one particular font and loses their order.
    """
    if not path.exists():
        return ()
    content = read_bytes(path, error=DataError, expected="subtitles", most=16 * MIB)
    text, found = content.decode("utf-8-sig", errors="replace"), []
    for block in re.split(r"\n\s*\n", text.replace("\r", "")):
        lines = block.strip().split("\n")
        timing = next((at for at, line in enumerate(lines) if "-->" in line), None)
        if timing is None:
            continue
        start, _, end = lines[timing].partition("-->")
        text = re.sub(r"<[^<>]*>|\{[^{}]*\}", "", " ".join(lines[timing + 1 :])).strip()
        if text:
            found.append(Subtitle(seconds_of(start), seconds_of(end.split()[0]), text))
    return tuple(found)


def interleave(subtitles: Sequence[Subtitle], times: Sequence[float]) -> list[str | range]:
    """Frames and lines in one sequence, as LongVideoBench's official loader puts them.

    A frame comes before a line if it is shown no later than the middle of the line. A line is kept only if a sampled frame
    lies strictly inside it; lines shorter than a second are widened to one around their middle for that.

    Args:
        subtitles: In order of time.
        times: Seconds of the sampled frames, ascending.
    """
    parts: list[str | range] = []
    done = 0
    for line in subtitles:
        until = done
        while until < len(times) and times[until] <= line.middle:
            until += 1
        if until > done:
            parts.append(range(done, until))
            done = until
        short = line.end - line.start < 1
        start, end = (line.middle - 0.5, line.middle + 0.5) if short else (line.start, line.end)
        if any(start < time < end for time in times):
            parts.append(line.text)
    if done < len(times):
        parts.append(range(done, len(times)))
    return parts


def shown_with(subtitles: Sequence[Subtitle], times: Sequence[float]) -> list[str]:
    """Lines on screen at any of the sampled frames, in order, each once."""
    return list(dict.fromkeys(line.text for line in subtitles if any(line.start <= time <= line.end for time in times)))
