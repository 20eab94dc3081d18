"""The site of the docs: builds without a warning, tells every public name, opens from the disk, wide and narrow."""

import ast
import json
import os
import re
import subprocess
import sys
import time
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from urllib.parse import unquote

import markdown
import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
ID = re.compile(r'\bid="([^"]+)"')
HREF = re.compile(r'(?:href|src)="?([^"\s>]+)')


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Built once, whichever worker comes first."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    folder, done = shared / "site", shared / "site.done"
    with FileLock(shared / "site.lock"):
        if not done.exists():
            command = ["mkdocs", "build", "--strict", "-f", "docs/site/mkdocs.yml", "-d", str(folder)]
            environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
            run = subprocess.run(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            assert run.returncode == 0, (
                f"a page that is in no navigation has a line to get in {command[4]}\n{run.stderr}"
            )
            done.touch()
    return folder


@pytest.fixture(scope="module")
def pages(site):
    """Path and text of every page but the one for mistyped addresses, whose links count from the root of a server."""
    return {path: path.read_text(encoding="utf-8") for path in site.rglob("*.html") if path.name != "404.html"}


def navigation(site):
    """Pages that the navigation of the first page leads to."""
    links = re.findall(
        r'<a href="?([^"\s>]+)"? class="?md-nav__link', (site / "index.html").read_text(encoding="utf-8")
    )
    return list(dict.fromkeys(link.partition("#")[0] for link in links if not link.startswith("#")))


def exported():
    """Every package that says what is public, with the names."""
    for path in sorted((ROOT / "namm_xmodal").rglob("__init__.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" for node in tree.body):
            package = ".".join(path.parent.relative_to(ROOT).parts)
            yield package, [name for name in import_module(package).__all__ if not name.startswith("__")]


def test_every_guide_is_in_the_navigation(site):
    linked = set(navigation(site))
    guides = [page for folder in ("docs", "docs/results", "docs/extend") for page in (ROOT / folder).glob("*.md")]
    for page in [*guides, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        assert page.relative_to(ROOT).with_suffix(".html").as_posix() in linked
    for name in linked - {"."}:
        assert (site / name).is_file(), name


def test_every_link_leads_somewhere(site, pages):
    ids = {path: set(ID.findall(text)) for path, text in pages.items()}
    checked = 0
    for path, text in pages.items():
        for link in HREF.findall(re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)):
            if link.startswith(("http:", "https:", "mailto:", "data:", "javascript:")):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = Path(os.path.normpath(path.parent / name)) if name else path
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{path.relative_to(site)} links to {link}"
            checked += 1
            if anchor and not anchor.startswith("__"):
                assert anchor in ids[target], f"{path.relative_to(site)} links to {link}"
    assert checked > 1000


def test_every_public_name_has_an_entry(site):
    packages = dict(exported())
    assert len(packages) >= 10
    for package, names in packages.items():
        page = site / f"reference/api/{package}.html"
        text = page.read_text(encoding="utf-8")
        for name in names:
            path = f"{package}.{name}"
            row = re.search(rf'id="?{re.escape(path)}"?></a><a[^>]*href="?([^">\s]+)', text)
            where, _, anchor = row[1].partition("#") if row else ("", "", path)
            told = (page.parent / where).read_text(encoding="utf-8") if where else text
            assert re.search(rf'<h\d id="?{re.escape(anchor)}"? class="doc doc-heading"', told), path


def test_keys_commands_and_names_are_those_of_the_program(site):
    keys = (site / "reference/keys/eval.html").read_text(encoding="utf-8")
    assert "<code>update_every</code>" in keys
    commands = (site / "reference/commands.html").read_text(encoding="utf-8")
    for command in ("eval", "head-shares", "list-policies", "check-model"):
        assert f'id="namm-xmodal-{command}"' in commands
    names = (site / "reference/names.html").read_text(encoding="utf-8")
    for name in ("keydiff", "multi_key_retrieval", "spectrogram", "language/demo"):
        assert f"<code>{name}</code>" in names


def test_the_index_of_the_search_knows_the_words(site):
    index = json.loads((site / "search/search_index.json").read_text(encoding="utf-8"))
    for word, page in (("KeyDiff", "docs/results/language.html"), ("update_every", "reference/keys/eval.html")):
        assert any(each["location"].startswith(page) and word in each["text"] for each in index["docs"])


def test_nothing_is_fetched_from_a_network(site, pages):
    for text in pages.values():
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", text):
            assert not re.search(r'(?:src|href)="?(?:https?:)?//', tag), tag
    for sheet in site.rglob("*.css"):
        assert not re.search(r"@import|url\(\"?https?:", sheet.read_text(encoding="utf-8"))


def test_githubs_markdown_is_read_as_github_reads_it():
    spec = spec_from_file_location("markdown_dialect", ROOT / "docs/site/markdown_dialect.py")
    dialect = module_from_spec(spec)
    spec.loader.exec_module(dialect)
    text = (
        "A list:\n1. one\n   ```python\n   if x:\n       - y\n   ```\n   goes\non\n"
        "2. two:\n   * inner\n3. three\n   ```\n   z\n   ```\n4. four\n\n"
        "End:\n| a |\n|---|\n| b |\n"
    )
    extensions = ["pymdownx.superfences", "tables", "sane_lists"]
    html = markdown.markdown("\n".join(dialect.translated(text.split("\n"))), extensions=extensions)
    assert html.count("<ol>") == html.count("<ul>") == html.count("<table>") == 1
    assert html.count("<li>") == 5
    assert "<p>A list:</p>" in html and "<p>End:</p>" in html
    plain = re.sub(r"<[^>]+>", "", html)
    assert "if x:\n    - y\n" in plain  # code keeps its own indentation
    assert "```" not in plain


@pytest.fixture
def opened(browser, site):
    """The first page in the browser, as wide as a desk."""
    resize(browser, 1300)
    browser.get((site / "index.html").as_uri())
    return browser


def resize(browser, width, scheme="light"):
    """Chromium's own window is never narrower than 500 pixels, so the page is told a width."""
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def test_every_page_opens_without_errors_and_fits_a_telephone(opened, site):
    resize(opened, 390)
    for name in navigation(site):
        opened.get((site / ("index.html" if name == "." else name)).as_uri())
        assert opened.find_element("css selector", "article h1").text, name
        assert opened.execute_script("return document.documentElement.scrollWidth <= innerWidth"), name
        fetched = opened.execute_script("return performance.getEntriesByType('resource').map(each => each.name)")
        assert [each for each in fetched if not each.startswith(("file:", "data:"))] == []
        assert [each for each in opened.get_log("browser") if each["level"] in ("SEVERE", "WARNING")] == [], name


@pytest.mark.parametrize(("word", "page"), [("KeyDiff", "namm_xmodal.html"), ("update_every", "namm_xmodal.html")])
def test_the_search_works_from_the_disk(opened, word, page):
    opened.find_element("css selector", ".md-search__input").send_keys(word)
    script = "return [...document.querySelectorAll('.md-search-result__item a')].map(link => link.href)"
    deadline = time.monotonic() + 60
    while not (found := opened.execute_script(script)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert any(page in link for link in found)
    assert all(link.startswith("file:") for link in found)


def test_it_is_light_or_dark_as_the_system_is(opened):
    script = "return getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"
    grounds = {}
    for scheme in ("light", "dark"):
        resize(opened, 1300, scheme)
        opened.refresh()
        grounds[scheme] = sum(opened.execute_script(script))
    assert grounds["light"] > 600
    assert grounds["dark"] < 200
