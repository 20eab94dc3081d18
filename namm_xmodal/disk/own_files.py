"""Single output files: a command never overwrites an input, or a file that the package did not make."""

import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from namm_xmodal.errors import FolderError

NAME = "namm-xmodal"
_SIGNATURES = {
    ".png": b"Software\0" + NAME.encode(),
    ".svg": b"<dc:title>" + NAME.encode(),
    ".pdf": b"/Creator (" + NAME.encode(),
    ".json": b'{"software": "' + NAME.encode(),
    ".mp4": NAME.encode(),
    ".md": b"---\n# " + NAME.encode(),
    ".parquet": b"made by " + NAME.encode(),
}
"""The mark, near the start or end of a file of each kind, that this package wrote it."""
_NEAR = 2**16  # bytes


def software() -> str:
    """The signature of files: the package and its version."""
    return f"{NAME} {version(NAME)}"


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path] = (), option: str = "--output") -> None:
    """Refuses outputs that would replace an input, or a file that this package did not write.

    Args:
        outputs: Files that a command is about to write; need not exist.
        inputs: What it reads.
        option: How the user names the outputs, for messages.

    Raises:
        FolderError: With the file and the remedy.
    """
    read = list(inputs)
    for path in outputs:
        if any(is_same(path, given) for given in read):
            raise FolderError(
                f"{option}: {path} is an input of this command and cannot be overwritten; choose another name"
            )
        try:
            foreign = path.exists() and not is_own(path)
        except OSError as error:  # a name that is too long, a file that may not be read
            raise FolderError(f"{option}: {path} cannot be used ({error.strerror}); choose another name") from None
        if foreign:
            raise FolderError(
                f"{option}: {path} already exists and was not written by {NAME}; remove it, or choose another name"
            )


def is_own(path: Path) -> bool:
    """Whether a picture, video, table or text is marked as written by this package."""
    signature = _SIGNATURES.get(path.suffix.lower())
    if signature is None or not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(_NEAR)
        if path.suffix.lower() in (".json", ".md"):
            return begin.startswith(signature)
        file.seek(max(0, os.fstat(file.fileno()).st_size - _NEAR))
        return signature in begin or signature in file.read()


def is_same(path: Path, other: Path) -> bool:
    """Whether two names mean one file or folder, through links too."""
    try:
        return path.samefile(other)
    except OSError:  # one of them does not exist
        return path.absolute() == other.absolute()
