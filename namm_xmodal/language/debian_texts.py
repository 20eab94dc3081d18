"""Long documents that Debian packages ship: read where they are installed or where `prepare_texts` unpacked them."""

import gzip
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from namm_xmodal.errors import DataError, UnknownNameError
from namm_xmodal.language.document import Document
from namm_xmodal.language.folders import cache_folder
from namm_xmodal.language.html_text import html_to_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DebianSource:
    """Documents of one package.

    Attributes:
        package: Binary package that holds the text.
        licence: As its copyright file states it.
        description: One line for lists.
        read: From the root folder of an unpacked system to (name, text) pairs; empty if the files are not there.
        also: Packages needed besides, to read the text.
    """

    package: str
    licence: str
    description: str
    read: Callable[[Path], list[tuple[str, str]]]
    also: tuple[str, ...] = ()


def _pages(root: Path, folder: str, pattern: str, convert: Callable[[str], str]) -> list[tuple[str, str]]:
    base = root / folder
    paths = sorted(base.rglob(pattern))
    return [(path.relative_to(base).as_posix(), convert(path.read_text("utf-8", errors="replace"))) for path in paths]


def _python_doc(root: Path) -> list[tuple[str, str]]:
    return _pages(root, "usr/share/doc/python3.11/html/_sources", "*.rst.txt", str)


def _handbook(root: Path) -> list[tuple[str, str]]:
    return _pages(root, "usr/share/doc/debian-handbook/html/en-US", "*.html", html_to_text)


def _anarchism(root: Path) -> list[tuple[str, str]]:
    return _pages(root, "usr/share/doc/anarchism/html", "*.html", html_to_text)


def _jargon(root: Path) -> list[tuple[str, str]]:
    path = root / "usr/share/doc/jargon-text/jargon.txt.gz"
    return [("jargon.txt", gzip.decompress(path.read_bytes()).decode("utf-8", "replace"))] if path.is_file() else []


def _bible(root: Path) -> list[tuple[str, str]]:
    """The King James Version, one document for each book. Its data file is compressed: its own program reads it."""
    program, data = root / "usr/bin/bible", root / "usr/lib"
    if not (program.is_file() and (data / "bible.data").is_file()):
        return []
    command = [str(program), "-p", str(data), "-f", "gen1:1-rev22:21"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    books: dict[str, list[str]] = {}
    for line in printed.splitlines():
        place, _, verse = line.partition(" ")  # `1Sa3:4 And ...`
        book = place.partition(":")[0].rstrip("0123456789")
        if book and verse:
            books.setdefault(book, []).append(line)
    return [(book, "\n".join(lines)) for book, lines in books.items()]


DEBIAN_SOURCES = {
    source.package: source
    for source in (
        DebianSource("python3.11-doc", "PSF-2.0", "the Python manual, 497 pages, 2.9 M tokens", _python_doc),
        DebianSource(
            "debian-handbook", "GPL-2+ or CC-BY-SA-3.0", "an administrator's handbook, 0.3 M tokens", _handbook
        ),
        DebianSource("anarchism", "GPL-2", "a political FAQ with long answers, 2.5 M tokens", _anarchism),
        DebianSource("jargon-text", "public domain", "a dictionary of hacker slang, 0.4 M tokens", _jargon),
        DebianSource(
            "bible-kjv", "public domain", "the King James Bible by book, 1.2 M tokens", _bible, ("bible-kjv-text",)
        ),
    )
}


def debian_texts(package: str) -> list[Document]:
    """Documents of a package that is installed or prepared.

    Raises:
        DataError: If it is neither; the message says both ways to get it.
    """
    source = DEBIAN_SOURCES[package]
    for root in (Path("/"), _unpacked(package)):
        if pairs := [(name, text) for name, text in source.read(root) if text.strip()]:
            return [Document(name, text, f"Debian {package}", source.licence) for name, text in pairs]
    raise DataError(
        f"texts {package}: not on this machine; run `apt-get install {' '.join((package, *source.also))}`, or "
        f"namm_xmodal.language.prepare_texts([{package!r}]), which needs apt but not root"
    )


def prepare_texts(names: Iterable[str] | None = None) -> list[Path]:
    """Fetches Debian packages with `apt-get download` and unpacks them into the cache folder; installs nothing.

    Args:
        names: Names among `DEBIAN_SOURCES`; all by default. Those that are there already are left alone.

    Returns:
        The folders, one for each name.

    Raises:
        UnknownNameError: If a name is not a Debian source.
        DataError: If this machine has no apt, or a package cannot be fetched.
    """
    wanted = list(DEBIAN_SOURCES) if names is None else list(names)
    for name in wanted:
        if name not in DEBIAN_SOURCES:
            raise UnknownNameError("Debian text", name, list(DEBIAN_SOURCES))
    return [unpack_package(DEBIAN_SOURCES[name]) for name in wanted]


def _unpacked(package: str) -> Path:
    return cache_folder() / "texts" / package


def unpack_package(source: DebianSource) -> Path:
    """Fetches and unpacks one package into the cache folder, unless it is there.

    Raises:
        DataError: If this machine has no apt, or the package cannot be fetched.
    """
    target = _unpacked(source.package)
    if target.is_dir():
        return target
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise DataError(
                f"texts {source.package}: {tool} is not installed (it needs a Debian-like system); use the texts "
                "python-topics or python-source instead"
            )
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f"{target.name}.work")
    shutil.rmtree(work, ignore_errors=True)
    (work / "root").mkdir(parents=True)
    log.info("fetching the text of Debian package %s (once)", source.package)
    for package in (source.package, *source.also):
        _run(["apt-get", "download", "--quiet", package], work, package)
    for archive in sorted(work.glob("*.deb")):
        _run(["dpkg", "-x", str(archive), str(work / "root")], work, source.package)
    (work / "root").replace(target)
    shutil.rmtree(work, ignore_errors=True)
    return target


def _run(command: list[str], folder: Path, package: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["no reason given"]
        raise DataError(
            f"texts {package}: {command[0]} failed ({lines[-1]}); expected a package in this system's sources; run "
            "`apt-get update` as root and try again"
        )
