"""Runs command lines in this process, where torch is imported once."""

import pytest
from typer.testing import CliRunner

from namm_xmodal.cli.app import app


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments, code=0, stdin=None):
        result = CliRunner().invoke(app, [str(each) for each in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def refused(run):
    """Runs a command line that a user got wrong; returns its one line."""

    def call(*arguments, stdin=None):
        line = run(*arguments, code=2, stdin=stdin).stderr.strip()
        assert line.startswith("namm-xmodal: ")
        assert "\n" not in line
        return line

    return call
