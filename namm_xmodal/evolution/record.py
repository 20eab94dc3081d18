"""Reads a run's journal without changing it, for resuming, the next stage and plots."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from namm_xmodal.disk.append_only import LONGEST
from namm_xmodal.errors import EvolutionError, NammError
from namm_xmodal.evolution.generation import Generation
from namm_xmodal.evolution.history import PastTell
from namm_xmodal.evolution.shard_line import ShardLine
from namm_xmodal.trust.files import read_bytes
from namm_xmodal.trust.json_text import parse_json

FORMAT = 1
JOURNAL = "journal.jsonl"
ANSWER = "mean.npy"


@dataclass
class RunRecord:
    """The content of a journal.

    Attributes:
        header: Its first line.
        generations: Finished generations, in order.
        pending: Shards of the generation that was not finished, by index.
        torn: Bytes of a last line that was cut off.
        whole: Bytes of the lines that are whole.
    """

    header: dict[str, Any] = field(default_factory=dict)
    generations: list[Generation] = field(default_factory=list)
    pending: dict[int, ShardLine] = field(default_factory=dict)
    torn: int = 0
    whole: int = 0

    @property
    def inherited(self) -> list[PastTell]:
        """The tells of the stages before this run."""
        return [PastTell.from_json(values) for values in self.header.get("history", [])]

    @property
    def history(self) -> list[PastTell]:
        """All tells, earlier stages included: what `replay` needs."""
        return [*self.inherited, *(PastTell.of(generation) for generation in self.generations)]

    def add(self, line: ShardLine | Generation) -> None:
        """Takes in one line, in the order written.

        Raises:
            EvolutionError: If it does not follow from the line before.
        """
        if line.generation != len(self.generations):
            raise EvolutionError(f"generation {line.generation} where {len(self.generations)} was expected")
        if isinstance(line, Generation):
            self.generations.append(line)
            self.pending = {}
        else:
            self.pending[line.index] = line


def has_begun(folder: Path) -> bool:
    """Whether a run has begun there: the first line of its journal is whole. Killed before, there is nothing to resume."""
    try:
        if not (folder / JOURNAL).is_file():
            return False
        with (folder / JOURNAL).open("rb") as file:
            return file.readline().endswith(b"\n")
    except OSError:
        return False


def read_run(folder: Path) -> RunRecord:
    """Reads the journal of a run; a last line that was cut off is left out.

    Args:
        folder: The run's folder.

    Raises:
        EvolutionError: If there is none, or it was edited, or another version wrote it.
    """
    path = folder / JOURNAL
    content = read_bytes(path, error=EvolutionError, expected="the journal of a run", most=LONGEST)
    record = parse(content, path)
    if not record.header:
        raise EvolutionError(f"{path}: empty, since the run ended before its first line; start it again")
    return record


def parse(content: bytes, path: Path) -> RunRecord:
    """Reads the bytes of a journal; without any whole line the header is empty.

    Raises:
        EvolutionError: If a line is not what it should be.
    """
    lines = content.split(b"\n")
    record = RunRecord(torn=len(lines.pop()))
    record.whole = len(content) - record.torn
    for number, line in enumerate(lines, start=1):
        try:
            values = parse_json(line)
            if number == 1:
                record.header = _header(values)
            elif values["kind"] == "shard":
                record.add(ShardLine.from_json(values))
            elif values["kind"] == "generation":
                record.add(Generation.from_json(values))
            else:
                raise EvolutionError(f"unknown kind {values['kind']!r}")
        except NammError as error:
            raise EvolutionError(f"{path}: line {number}: {error}; fix the file or start a new run") from None
        except (ValueError, KeyError, TypeError):
            raise EvolutionError(
                f"{path}: line {number} is not a line of a journal; fix the file or start a new run"
            ) from None
    return record


def _header(values: Any) -> dict[str, Any]:
    if not isinstance(values, dict) or values.get("kind") != "run":
        raise EvolutionError("not the first line of a run")
    if values.get("format") != FORMAT:
        raise EvolutionError(f"journal format {values.get('format')!r}, this version reads {FORMAT}")
    return values
