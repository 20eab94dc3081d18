"""Plug-in files that are forgotten after the test."""

import gc
import sys

import pytest

from namm_xmodal.plugins import FILES, Registry


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes plug-in files; what importing them changes is undone."""
    monkeypatch.setenv(FILES, "[]")
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    forget_tables()

    def write(text, name="own_plugin.py"):
        path = tmp_path / name
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    forget_tables()


def forget_tables():
    """Of the files known now; the next look reads them again."""
    for each in gc.get_objects():
        if type(each) is Registry:
            vars(each).pop("_entries", None)
