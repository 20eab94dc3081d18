"""Atomic replacement of files and folders: after a crash, either the old or the new version is there."""

import errno
import os
import shutil
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
        _sync_file(fresh)
        os.replace(fresh, path)
        sync_folder(path.parent)
    finally:
        fresh.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """Replaces a text file atomically.

    Raises:
        OSError: If writing fails; the old file is kept.
    """
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Gives an empty folder to fill; when the block ends its files are on disk and it takes the place of `path`.

    The old folder is removed only after the new one is there. If the block fails, the old one stays.

    Args:
        path: The folder to replace; its parent is made if absent.

    Yields:
        A hidden folder beside it.

    Raises:
        OSError: If the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    fresh.mkdir()
    try:
        yield fresh
        for file in fresh.iterdir():
            _sync_file(file)
        sync_folder(fresh)
        if path.exists():
            os.rename(path, old)
        os.rename(fresh, path)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        settle_replaced(old, path)


def settle_replaced(old: Path, path: Path) -> None:
    """Puts a folder that was moved aside back if none has taken its place; else removes it."""
    if old.exists() and not path.exists():
        os.rename(old, path)
    shutil.rmtree(old, ignore_errors=True)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on disk, where the platform supports it.

    Raises:
        OSError: If the disk fails.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # file systems that sync files only
            raise
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())
