"""The folder of an evaluation: its journal, the configuration beside it, and a watch over what policies are called."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from namm_xmodal.config import to_yaml
from namm_xmodal.config.save import to_mapping
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.journal import Journal, Notice, set_aside
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.versions import software_versions

JOURNAL = "results.jsonl"
RESOLVED = "config.yaml"

Progress = Callable[[int, int, str], None]
Key = tuple[Any, ...]


@contextmanager
def open_results(
    config: Any,
    digest: str,
    fingerprints: Mapping[Key, str],
    key: Callable[[Any], Key],
    *,
    fresh: bool,
    notice: Notice,
    read: Callable[[dict[str, Any]], Any] = Record.from_json,
    versions: Mapping[str, str] | None = None,
) -> Iterator[Journal]:
    """Opens the journal in `config.output`, new or to be gone on with, and saves the resolved configuration beside it.

    Args:
        config: What is evaluated; its `output` is the folder.
        digest: Of what results depend on; results of another digest are refused.
        fingerprints: Of each policy that is evaluated, by `key`.
        key: Of a record: which of these policies made it.
        fresh: Whether earlier results are set aside.
        notice: Told where they went, and of a torn line.
        read: Makes a record of a line.
        versions: Of more software than usual, for the header.

    Raises:
        ResultsError: If the folder holds results of something else, of another policy under a name that is used here,
            is in use, or cannot be written.
    """
    folder = Path(config.output)
    if fresh and (kept := set_aside(folder / JOURNAL)):
        notice(f"earlier results are kept as {kept}")
    header = {
        "config": digest,
        "settings": to_mapping(config),
        "versions": {**software_versions(), **(versions or {})},
    }
    with Journal(folder / JOURNAL, header, notice, read) as journal:
        for record in journal.records:
            now = fingerprints.get(key(record), record.fingerprint)
            if record.fingerprint != now:
                raise ResultsError(
                    f"{journal.path}: holds results of another policy named {record.policy!r} or of another model "
                    f"(fingerprint {record.fingerprint}, now {now}: other fields or other weights); give it another "
                    "label, or use --fresh (the old file is kept aside)"
                )
        path = folder / RESOLVED
        try:
            replace_text(path, to_yaml(config))
        except OSError as error:
            raise ResultsError(f"{path}: cannot be written: {disk_trouble(error, 'run again to resume')}") from None
        yield journal


def notice_earlier(notice: Notice, finished: int, total: int, what: str, output: str) -> None:
    """Says how many results an earlier run has left, if any."""
    if finished == total:
        notice(
            f"finished earlier: all {total} {what} are in {output}; --fresh starts from scratch, and keeps them aside"
        )
    elif finished:
        notice(f"resuming after {finished} of {total} {what} in {output}")
