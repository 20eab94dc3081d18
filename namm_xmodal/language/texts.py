"""Natural text by name: from Python itself, or from Debian's documentation packages where they are at hand."""

from functools import lru_cache

from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.language.debian_texts import DEBIAN_SOURCES, debian_texts
from namm_xmodal.language.document import Document
from namm_xmodal.language.folders import cache_folder
from namm_xmodal.language.own_texts import find_place, is_path, own_texts
from namm_xmodal.language.python_texts import python_source, python_topics

_ALWAYS_THERE = {
    "python-topics": (python_topics, "the Python language reference, 79 topics, 0.1 M tokens; always there"),
    "python-source": (python_source, "source files of Python's standard library, about 2.7 M tokens; always there"),
}


def list_texts() -> dict[str, str]:
    """Names of all sources, with one line about each."""
    always = {name: line for name, (_, line) in _ALWAYS_THERE.items()}
    return {**always, **{name: f"{row.description}; Debian package" for name, row in DEBIAN_SOURCES.items()}}


def check_texts(name: str) -> None:
    """Refuses a source that there is none of, without reading anything.

    Raises:
        ConfigError: With the nearest names.
        DataError: If it is a path to nothing.
    """
    if is_path(name):
        find_place(name)
        return
    try:
        _check_name(name)
    except UnknownNameError as error:
        raise ConfigError(f"texts: {error}") from None


def find_texts(name: str) -> list[Document]:
    """All documents of a source, in a fixed order; the same list for the same version of the source.

    Args:
        name: One of `list_texts()`, or the path of a `.txt` or `.jsonl` file or of a folder of them.

    Raises:
        UnknownNameError: If there is no such source.
        DataError: If it is not on this machine; says what to install.
    """
    if is_path(name):
        return own_texts(name)
    _check_name(name)
    return list(_read(name, str(cache_folder())))


def _check_name(name: str) -> None:
    if name not in _ALWAYS_THERE and name not in DEBIAN_SOURCES:
        raise UnknownNameError("text source", name, list(list_texts()))


@lru_cache(maxsize=4)  # a source is up to 12 MB and takes seconds to read; absent ones raise and are not remembered
def _read(name: str, _cache: str) -> tuple[Document, ...]:
    return tuple(_ALWAYS_THERE[name][0]() if name in _ALWAYS_THERE else debian_texts(name))
