"""A file that is replaced in one step: a reader, and a crash, find the old one or the new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a name to write under; when the block ends that file is on disk and takes the place of `path`.

    If the block fails, the unfinished file goes and the old one stays.

    Args:
        path: The file to replace; its folder is made if absent.

    Yields:
        A hidden name beside it, of the same suffix.

    Raises:
        OSError: If the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield fresh
        with fresh.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replaces a text file in one step.

    Raises:
        OSError: If the disk refuses; the old file is kept.
    """
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")
