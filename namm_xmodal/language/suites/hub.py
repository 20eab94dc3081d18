"""Suites on the Hugging Face Hub: `data: hub` fetches what is asked for once, and later reads what was fetched."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path

from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import DataError
from namm_xmodal.language.folders import cache_folder
from namm_xmodal.language.suites.table import Suite
from namm_xmodal.trust.archive import open_zip, read_member
from namm_xmodal.trust.files import MIB, reason_of

WORD = "hub"
"""What `data` begins with, where files are fetched."""
_MOST_UNPACKED = 1024 * MIB
"""Bytes of one file of an archive, which is read whole."""


@dataclass(frozen=True)
class HubPlace:
    """A dataset repository.

    Attributes:
        repository: `owner/name`.
        revision: Branch, tag or commit; the main branch if None.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{WORD}:{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_place(suite: Suite, data: str | None) -> HubPlace | None:
    """Where on the Hub a suite is read from; None if `data` is a folder or a file.

    Args:
        suite: The table.
        data: `hub` for the repository that the table names, `hub:owner/name` for another; a branch, tag or commit may
            follow after `@`.

    Raises:
        DataError: If it is not the name of a repository, or the table does not name one.
    """
    if data is None or not (data == WORD or data.startswith((f"{WORD}:", f"{WORD}@"))):
        return None
    named, _, revision = data.removeprefix(WORD).removeprefix(":").partition("@")
    repository = named or suite.hub
    if not repository:
        raise DataError(
            f"data: {data}: {suite.name} does not name a repository; expected {WORD}:owner/name, or a folder"
        )
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    strange = bool(revision) and not re.fullmatch(
        r"[\w-][\w.-]*(/[\w-][\w.-]*)*", revision
    )  # it becomes part of a path
    odd = repository.count("/") != 1 or strange or (not revision and data.endswith("@"))
    try:
        validate_repo_id(repository)
    except HFValidationError:
        odd = True
    if odd:
        raise DataError(
            f"data: {data}: not a repository; expected {WORD}, {WORD}:owner/name or {WORD}:owner/name@revision"
        )
    return HubPlace(repository, revision or None)


def hub_folder(suite: Suite, place: HubPlace, labels: Sequence[str]) -> Path:
    """A folder with the files of some tasks, fetched if they are not there yet.

    Args:
        suite: The table.
        place: Of `hub_place`.
        labels: Of the tasks. One that the repository does not have is left out.

    Raises:
        DataError: If they cannot be fetched or unpacked; names the reason and the remedy.
    """
    return _folder(place, hub_commit(place), tuple(suite.files), suite.archive, tuple(labels))


@lru_cache(maxsize=16)
def hub_commit(place: HubPlace) -> str:
    """The commit that is read: of a branch, the one that was fetched first on this machine.

    Raises:
        DataError: If it was never fetched and cannot be now.
    """
    found = _snapshot(place, place.revision, ["README.md"], local=True)
    return (found or _fetched(place, place.revision, ["README.md"])).name


@lru_cache(maxsize=64)
def _folder(
    place: HubPlace, commit: str, patterns: tuple[str, ...], archive: str | None, labels: tuple[str, ...]
) -> Path:
    wanted = {label: [pattern.replace("{task}", label) for pattern in patterns] for label in labels}
    files = [*(pattern for each in wanted.values() for pattern in each), *([archive] if archive else [])]
    folder = _snapshot(place, commit, files, local=True)
    if folder is None or not _complete(folder, wanted.values(), archive):
        folder = _fetched(place, commit, files)
    if archive is None or not (folder / archive).is_file():
        return folder
    unpacked = cache_folder() / "suites" / place.repository.replace("/", "--") / commit / archive.replace("/", "--")
    _unpack(folder / archive, unpacked, files)
    return unpacked


def _complete(folder: Path, wanted: Iterable[Sequence[str]], archive: str | None) -> bool:
    if archive is not None and (folder / archive).is_file():
        return True
    return all(any(any(folder.glob(pattern)) for pattern in patterns) for patterns in wanted)


def _snapshot(place: HubPlace, revision: str | None, files: Sequence[str], *, local: bool) -> Path | None:
    """The folder of a repository in the Hub's own cache; None if it is not there and may not be fetched."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                place.repository,
                repo_type="dataset",
                revision=revision,
                allow_patterns=list(files),
                local_files_only=local,
            )
        )
    except LocalEntryNotFoundError:
        if not local:
            raise
        return None


def _fetched(place: HubPlace, revision: str | None, files: Sequence[str]) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        found = _snapshot(place, revision, files, local=False)
    except RevisionNotFoundError:
        raise DataError(f"data: {place}: the repository has no branch, tag or commit of this name") from None
    except RepositoryNotFoundError:
        raise DataError(
            f"data: {place}: no such dataset, or a private one; check the name, or sign in with `hf auth login`"
        ) from None
    except LocalEntryNotFoundError as error:
        raise _out_of_reach(place, error.__cause__ or error) from None
    except Exception as error:  # of the network, the disk, or what was answered
        raise _out_of_reach(place, error) from None
    assert found is not None
    return found


def _out_of_reach(place: HubPlace, error: BaseException) -> DataError:
    return DataError(
        f"data: {place}: not fetched yet, and fetching failed ({reason_of(error)}); try again with a network and room on "
        "the disk, or pass a folder"
    )


def _unpack(archive: Path, folder: Path, files: Sequence[str]) -> None:
    """Writes the members that match, each under its own name when it is complete; those that are there are kept."""
    with open_zip(archive, error=DataError, expected="the archive of a suite; delete it to fetch it again") as opened:
        for member in opened.infolist():
            target = folder / member.filename  # an absolute name would replace the folder
            inside = target.is_relative_to(folder) and ".." not in target.parts
            if not inside or not any(fnmatch(member.filename, pattern) for pattern in files):
                continue
            if target.is_file() and target.stat().st_size == member.file_size:
                continue
            content = read_member(opened, member.filename, _MOST_UNPACKED)
            try:
                with replacing(target) as fresh:
                    fresh.write_bytes(content)
            except OSError as error:
                raise DataError(
                    f"{target}: cannot be written ({error.strerror}); make room, or set NAMM_XMODAL_CACHE to another folder"
                ) from None
