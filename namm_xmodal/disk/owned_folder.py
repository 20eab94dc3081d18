"""A folder that one command writes into: claimed under a lock before the first write; other folders are never touched."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.disk.append_only import AppendOnlyFile
from namm_xmodal.disk.own_files import is_same, software
from namm_xmodal.disk.owner import MARKER, marked_owner, owner_of
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import settle_replaced
from namm_xmodal.errors import FolderError, FolderInUseError

_UNFINISHED = re.compile(r"\..+\.\d+\.part(\..+)?|\.saving-.+")
_REPLACED = re.compile(r"\.(.+)\.\d+\.old")
"""Names of what a killed process left: those of `replacing`, `replacing_folder` and of temporary folders."""


@dataclass(frozen=True)
class OwnedFolder:
    """Where a command writes.

    Attributes:
        path: The folder; need not exist.
        command: The writing command, such as "eval".
        writes: Names in it that the command replaces; a folder that is not its own may hold none of them.
        inputs: Files and folders that the command reads; none of them may be the folder itself.
        option: The command-line option that sets the folder, for messages.
        remedy: The advice in messages; "choose another --output" or the like if empty.
    """

    path: Path
    command: str
    writes: tuple[str, ...]
    inputs: Sequence[Path] = ()
    option: str = "--output"
    remedy: str = ""

    @property
    def elsewhere(self) -> str:
        """What the user can do instead."""
        return self.remedy or f"choose another {self.option}"

    def check(self) -> None:
        """Refuses a folder in which the command would overwrite what it did not make; writes nothing.

        Raises:
            FolderError: If it is not a folder, another command's, an input, or holds files that would be overwritten.
        """
        try:
            self._check(self.elsewhere)
        except OSError as error:  # a name that is too long, a folder that may not be read
            raise FolderError(f"{self.path}: cannot be used ({error.strerror}); {self.elsewhere}") from None

    def _check(self, remedy: str) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise FolderError(f"{self.path}: is a file, expected a folder or a new name; {remedy}")
        place = next(each for each in (self.path, *self.path.absolute().parents) if each.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            raise FolderError(f"{self.path}: cannot be written ({place} is read-only for you); {remedy}")
        owner = owner_of(self.path)
        if owner not in (None, self.command):
            raise FolderError(
                f"{self.path}: was made by `namm-xmodal {owner}`, expected a new folder or one of `namm-xmodal "
                f"{self.command}`; {remedy}"
            )
        if any(is_same(self.path, given) for given in self.inputs):
            raise FolderError(f"{self.path}: is an input of this command and cannot be its output; {remedy}")
        foreign = [name for name in self.writes if owner is None and _holds_something(self.path / name)]
        if foreign:
            raise FolderError(
                f"{self.path}: holds {' and '.join(foreign[:3])}, which `namm-xmodal {self.command}` did not make and "
                f"would overwrite; {remedy}"
            )

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Makes the folder the command's own; no other process can claim it until the block ends.

        What a killed process left unfinished in it is removed. If the block writes nothing, no trace of it stays.

        Raises:
            FolderInUseError: If the folder is in use by another process.
            FolderError: As `check`, or if it cannot be written.
        """
        self.check()
        new = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        marker = AppendOnlyFile(
            self.path / MARKER, error=FolderError, elsewhere=self.elsewhere, busy=FolderInUseError, name=self.path
        )
        with closing(marker):
            self.check()  # once more: another command may have come and gone before the lock was ours
            fresh = not marker.read().endswith(b"\n") or marked_owner(self.path) is None
            try:
                if fresh:
                    self._mark(marker)
                remove_unfinished(self.path)
                yield
            finally:
                if fresh and os.listdir(self.path) == [MARKER]:
                    with suppress(OSError):
                        marker.path.unlink()
                        for folder in new:
                            folder.rmdir()

    def _mark(self, marker: AppendOnlyFile) -> None:
        try:
            marker.cut(0)  # a process that was killed here may have begun to write
            marker.append(json.dumps({"command": self.command, "software": software()}))
        except OSError as error:
            raise FolderError(f"{marker.path}: {disk_trouble(error, 'run the command again')}") from None


def remove_unfinished(folder: Path) -> None:
    """Removes what killed processes left half-written, in subfolders too; a folder in them that is claimed keeps its own.

    Args:
        folder: Claimed by this process: what is unfinished in it is nobody's work.
    """
    for path in list(folder.iterdir()):
        if replaced := _REPLACED.fullmatch(path.name):
            settle_replaced(path, folder / replaced[1])
        elif _UNFINISHED.fullmatch(path.name):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        elif path.is_dir() and not path.is_symlink() and not (path / MARKER).exists():
            remove_unfinished(path)


def _holds_something(path: Path) -> bool:
    if path.is_dir():
        return any(path.iterdir())
    return path.exists() and path.stat().st_size > 0
