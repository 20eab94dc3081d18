"""Subtitles in the formats that benchmarks ship, and which of them belong to sampled frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.errors import ItemError
from namm_xmodal.trust.files import MIB, read_bytes
from namm_xmodal.video.benchmarks.answers import as_text, shortened
from namm_xmodal.video.benchmarks.files import read_json

_STAMP = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")
_TIMING = re.compile(r"^(.*)-->(.*)$", re.MULTILINE)


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


def seconds_of(stamp: Any) -> float:
    """`HH:MM:SS.mmm`, also with a comma or without hours, in seconds.

    Raises:
        ItemError: If it is not a time.
    """
    found = _STAMP.fullmatch(stamp.strip()) if isinstance(stamp, str) else None
    if found is None:
        raise ItemError(f"{shortened(stamp)} is not a subtitle time: expected HH:MM:SS.mmm")
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))


def from_longvideobench(entries: Any, offset: float, duration: float) -> tuple[Subtitle, ...]:
    """Both schemas of LongVideoBench: `start`/`end`/`line`, and `timestamp`/`text`.

    Args:
        entries: The JSON list.
        offset: `starting_timestamp_for_subtitles`, which becomes second 0.
        duration: Where a line without an end ends. Deviates: the official loader then subtracts the offset from it too.

    Raises:
        ItemError: If it is not a list of subtitles, or a time is none.
    """
    found = []
    for entry in entries if isinstance(entries, list) else [entries]:
        match entry:
            case {"timestamp": [start, end], "text": text}:
                until = duration if end is None else _seconds(end) - offset
                found.append(Subtitle(_seconds(start) - offset, until, as_text(text, "a subtitle")))
            case {"start": start, "end": end, "line": text}:
                found.append(
                    Subtitle(seconds_of(start) - offset, seconds_of(end) - offset, as_text(text, "a subtitle"))
                )
            case _:
                raise ItemError(f"{shortened(entry)} is not a subtitle in either schema of LongVideoBench")
    return tuple(found)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ItemError(f"{shortened(value)} is not a subtitle time: expected seconds of at least 0")
    return float(value)


def read_longvideobench(path: Path, offset: float, duration: float) -> tuple[Subtitle, ...]:
    """Subtitles of a LongVideoBench file, as `from_longvideobench` has them.

    Raises:
        ItemError: If it is absent, damaged or holds something else.
    """
    try:
        return from_longvideobench(read_json(path), offset, duration)
    except FileNotFoundError:
        raise ItemError(f"its subtitles {path}: no such file") from None
    except (OSError, ValueError) as error:
        raise ItemError(f"its subtitles {path}: cannot be read ({' '.join(str(error).split())[:80]})") from None
    except ItemError as error:
        raise ItemError(f"its subtitles {path}: {error}") from None


def read_srt(path: Path) -> tuple[Subtitle, ...]:
    """Subtitles of a SubRip file, markup removed, in their order; empty if it is absent.

    Deviates from lmms-eval, which reads only lines in one particular font and loses their order.

    Raises:
        ItemError: If a time is none, or there are no times in it.
    """
    if not path.exists():
        return ()
    content = read_bytes(path, error=ItemError, expected="its subtitles", most=16 * MIB)
    text = content.decode("utf-8-sig", errors="replace")
    found = []
    # A timing line, then text up to the number of the next one: blank lines between them are often missing.
    timings = list(_TIMING.finditer(text))
    if text.strip() and not timings:
        raise ItemError(f"its subtitles {path}: has no line with -->; expected SubRip")
    for timing, following in zip(timings, [*timings[1:], None], strict=True):
        lines = text[timing.end() : None if following is None else following.start()].strip().splitlines() or [""]
        if following is not None and lines[-1].strip().isdigit():
            del lines[-1]
        shown = re.sub(r"<[^<>]*>|\{[^{}]*\}", "", " ".join(line for line in lines if line.strip())).strip()
        try:
            start, end = seconds_of(timing[1]), seconds_of((timing[2].split() or [""])[0])
        except ItemError as error:
            raise ItemError(f"its subtitles {path}: {error}") from None
        if shown:
            found.append(Subtitle(start, end, shown))
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
