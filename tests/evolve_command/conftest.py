"""Command lines of `namm-xmodal evolve` on a model of 27,000 parameters, in this process where torch is imported once."""

import pytest
from typer.testing import CliRunner

from namm_xmodal.cli.app import app

SMALL = (
    "generations=3",
    "strategy.population=4",
    "samples=1",
    "pool=2",
    "statistics.samples=1",
    "validation=2",
    "tasks.next_token=null",
)


def options(*assignments):
    return [part for assignment in (*SMALL, *assignments) for part in ("--set", assignment)]


@pytest.fixture
def small():
    """`--set` options that make the smoke file a matter of seconds; later ones win."""
    return options


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def refused(run):
    """Runs a command line that a user got wrong; returns its one line."""

    def call(*arguments):
        lines = [line for line in run(*arguments, code=2).stderr.splitlines() if line.strip()]
        assert len(lines) == 1
        assert lines[0].startswith("namm-xmodal: ")
        return lines[0]

    return call
