"""Pages and what they link to, at the paths they have in the repository."""

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)")


def first_pages() -> list[Path]:
    """README, CONTRIBUTING, CHANGELOG, the guides and the tutorials; other pages are found by their links."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    guides = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
    return [*top, *guides]


def linked(page: Path) -> list[Path]:
    """Files and folders of the repository that a page links to."""
    targets = (m["target"] for m in LINK.finditer(page.read_text(encoding="utf-8")))
    paths = (Path(os.path.normpath(page.parent / target)) for target in targets if "://" not in target)
    return [path for path in paths if path.is_relative_to(ROOT) and path.exists()]


def listing(folder: Path) -> str:
    """A page with links to the files of a folder, those of folders in it as well."""
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return "\n".join([f"# {folder.relative_to(ROOT).as_posix()}", "", *(f"* [{name}]({name})" for name in files), ""])


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds every page, and the files that pages link to."""
    waiting, seen = first_pages(), set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        name = path.relative_to(ROOT).as_posix()
        if path.is_dir():
            files.append(File.generated(config, f"{name}/index.md", content=listing(path)))
            waiting += [inner for inner in path.rglob("*") if inner.is_file()]
            continue
        files.append(File.generated(config, name, abs_src_path=str(path)))
        if path.suffix == ".md":
            waiting += linked(path)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to a folder lead to the page that lists it."""
    here = (ROOT / page.file.src_uri).parent

    def to_listing(match: re.Match[str]) -> str:
        whole, target = match.group(), match["target"]
        return f"{whole.rstrip('/')}/index.md" if "://" not in target and (here / target).is_dir() else whole

    return LINK.sub(to_listing, markdown)
