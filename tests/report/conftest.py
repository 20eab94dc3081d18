"""Summaries of made-up records, and tables as a terminal shows them."""

from dataclasses import replace
from io import StringIO

import pytest
from made_records import made_plan, made_records
from rich.console import Console

from namm_xmodal.evaluation.results_folder import open_results
from namm_xmodal.report.summary import summarise

TAGS = {"length": (2048, 16384), "depth": (0.0, 0.25, 0.5)}


def tagged(records):
    """The same, those of language with lengths and depths."""
    for record in records:
        own = {tag: values[record.number % len(values)] for tag, values in TAGS.items()}
        yield replace(record, tags={**record.tags, **(own if record.section == "language" else {})})


@pytest.fixture(scope="module")
def summary():
    """Of all three modalities, with scores apart."""
    config, plan = made_plan(bootstrap={"resamples": 100})
    return summarise(tagged(made_records(plan)), plan, config.run.bootstrap)


@pytest.fixture
def folder(tmp_path):
    """Writes results of a random language model, as `namm-xmodal eval` does."""

    def write(name, keep=lambda record: True, change=lambda record: record, **changes):
        few = {"video": None, "rl": None, "bootstrap": {"resamples": 100}}
        config, plan = made_plan(tmp_path / name, **{**few, **changes})
        with open_results(config, plan, fresh=False, notice=print) as journal:
            for each in filter(keep, made_records(plan)):
                journal.append(change(each))
        return tmp_path / name

    return write


@pytest.fixture
def drawn():
    """What a terminal of a width shows; every line of the tables must fit it."""

    def draw(tables, width):
        console = Console(width=width, record=True, file=StringIO(), markup=False, emoji=False)  # as the command line's
        for table in tables:
            console.print(table, markup=False)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= width
        return text

    return draw
