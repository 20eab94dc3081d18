"""Texts that come with Python: the language reference of `help()`, and the standard library's source."""

import platform
import sys
import sysconfig
from pathlib import Path

from namm_xmodal.errors import DataError
from namm_xmodal.language.document import Document

_LICENCE = "PSF-2.0"

# Tables, generated text, jokes, other people's wheels, and applications rather than libraries.
_LEFT_OUT = frozenset({"encodings", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "this", "antigravity"})
_LEFT_OUT_FOLDERS = frozenset({"__pycache__", "test", "tests", "site-packages", "dist-packages"})


def python_topics() -> list[Document]:
    """The language reference, one document for each `help()` topic (79 in Python 3.11, 465,000 characters).

    Raises:
        DataError: If this Python was built without `pydoc_data`.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            "texts python-topics: this Python lacks the module pydoc_data; use a Python with the full standard library"
        ) from error
    return [Document(name, topics[name], _version(), _LICENCE) for name in sorted(topics)]


def python_source() -> list[Document]:
    """The standard library's source files, one document each, tests and generated files left out.

    Raises:
        DataError: If this Python ships its library compiled only.
    """
    library = Path(sysconfig.get_paths()["stdlib"])
    documents = []
    for path in _source_files(library):
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):  # a few files keep an older encoding on purpose
            continue
        documents.append(Document(path.relative_to(library).as_posix(), text, _version(), _LICENCE))
    if not documents:
        raise DataError(
            f"texts python-source: no source files in the library folder of Python {platform.python_version()}; "
            "use a Python that ships them (python.org, conda, uv and Debian's libpython3-stdlib do)"
        )
    return documents


def _source_files(library: Path) -> list[Path]:
    """Files of the modules that `sys` lists, folder by folder: other packages may be installed among them."""
    files: list[Path] = []
    for module in sorted(sys.stdlib_module_names - _LEFT_OUT):
        files.extend(path for path in [library / f"{module}.py"] if path.is_file())
        files.extend(sorted((library / module).rglob("*.py")))
    return [path for path in files if not _LEFT_OUT_FOLDERS.intersection(path.relative_to(library).parts)]


def _version() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"
