"""Texts that every Python has, and what is said where one is absent."""

import gzip
import shutil

import pytest

from namm_xmodal.errors import DataError, UnknownNameError
from namm_xmodal.language import debian_texts, find_texts, list_texts, prepare_texts
from namm_xmodal.language.html_text import html_to_text


@pytest.mark.parametrize(
    ("name", "fewest", "characters"), [("python-topics", 50, 300_000), ("python-source", 200, 3_000_000)]
)
def test_texts_of_python_are_always_there(name, fewest, characters):
    documents = find_texts(name)
    assert len(documents) >= fewest
    assert sum(len(document.text) for document in documents) >= characters
    assert len({document.name for document in documents}) == len(documents)
    assert all(document.source.startswith("CPython 3") and document.licence == "PSF-2.0" for document in documents)
    assert find_texts(name) == documents


def test_library_source_holds_no_tests_and_no_foreign_packages():
    names = {document.name for document in find_texts("python-source")}
    assert "json/decoder.py" in names
    assert not any("site-packages" in name or "/test" in name for name in names)


@pytest.fixture
def empty_machine(monkeypatch, tmp_path):
    """No Debian text is installed, and the cache folder is empty."""
    monkeypatch.setenv("NAMM_XMODAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(debian_texts, "Path", lambda *parts: tmp_path / "nowhere")
    return tmp_path


@pytest.mark.parametrize("name", sorted(debian_texts.DEBIAN_SOURCES))
def test_an_absent_text_says_what_to_install(name, empty_machine):
    with pytest.raises(DataError, match=f"run `apt-get install {name}") as caught:
        find_texts(name)
    assert "\n" not in str(caught.value)


def test_a_prepared_text_is_found(empty_machine):
    folder = empty_machine / "cache/texts/jargon-text/usr/share/doc/jargon-text"
    folder.mkdir(parents=True)
    (folder / "jargon.txt.gz").write_bytes(gzip.compress(b"hack n. a quick job"))
    (document,) = find_texts("jargon-text")
    assert document.text == "hack n. a quick job"
    assert document.licence == "public domain"


def test_pages_of_html_become_text(empty_machine):
    folder = empty_machine / "cache/texts/anarchism/usr/share/doc/anarchism/html"
    folder.mkdir(parents=True)
    (folder / "a.html").write_text("<html><head><title>no</title></head><body><h1>A &amp; B</h1><p>one<br>two</p>")
    (document,) = find_texts("anarchism")
    assert document.text == "A & B\n\none\n\ntwo"


def test_preparing_without_apt_is_refused_politely(empty_machine, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    with pytest.raises(DataError, match=r"apt-get is not installed.*python-topics"):
        prepare_texts(["jargon-text"])
    assert not (empty_machine / "cache").exists()


@pytest.mark.parametrize("call", [find_texts, lambda name: prepare_texts([name])])
def test_unknown_names(call):
    with pytest.raises(UnknownNameError, match="did you mean jargon-text"):
        call("jargon-txt")


def test_every_source_has_a_line():
    assert all(list_texts().values())


def test_html_hides_what_a_reader_does_not_see():
    assert html_to_text("<div>a  <b>b</b>\nc<script>x()</script></div><p>d") == "a b c\n\nd"
