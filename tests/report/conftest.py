"""The widest real tables: the published results of this repository, read back from their summaries."""

import json
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from namm_xmodal.evaluation.statistics import Interval
from namm_xmodal.report.rollout_summary import RolloutRow
from namm_xmodal.report.summary import Cell, Summary
from namm_xmodal.report.video_summary import VideoRow
from namm_xmodal.rollouts.statistics import Aggregate

DOCS = Path(__file__).parents[2] / "docs"


def interval(values):
    return None if values is None else Interval(**values)


def language(name="held_out"):
    """The published language results as a summary."""
    content = json.loads((DOCS / "results" / name / "summary.json").read_text())
    return Summary(
        tuple(
            Cell(
                task=each["task"],
                metric=each["metric"],
                policy=each["policy"],
                budget=each["budget"],
                protocol=each["protocol"],
                score=interval(each["score"]),
                difference=interval(each["difference_to_full"]),
                kept=each["kept_fraction"],
                live_bytes=each["live_bytes"],
                allocated_bytes=each["allocated_bytes"],
                cpu_seconds=each["cpu_seconds"],
                headline=each["headline"],
            )
            for each in content["cells"]
        )
    )


def agents(name="memory"):
    """The published rows of a rollout."""
    rows = []
    for each in json.loads((DOCS / "rl" / f"{name}-summary.json").read_text())["rows"]:
        scores = None if each["scores"] is None else Aggregate(**each["scores"])
        fraction = each.pop("kept_fraction")
        made = {**each, "returns": Aggregate(**each["returns"]), "scores": scores, "fraction": fraction}
        rows.append(RolloutRow(**{"survivors": None, **made}))
    return rows


def videos(name="namm"):
    """The published rows of a video evaluation."""
    rows = []
    for each in json.loads((DOCS / "video" / f"{name}-summary.json").read_text())["rows"]:
        apart = {
            grouping: {group: (found["accuracy"], found["n"]) for group, found in groups.items()}
            for grouping, groups in each["apart"].items()
        }
        read = {key: interval(each[key]) for key in ("accuracy", "difference", "macro")}
        rows.append(VideoRow(**{**each, **read, "apart": apart}))
    return rows


OFFICIAL = SimpleNamespace(macro=True, without_unparsed=True)
"""A benchmark whose table has every column."""


def drawn(tables, width):
    """What a terminal of that width shows; every line of the tables must fit it."""
    console = Console(width=width, record=True, file=StringIO(), markup=False, emoji=False)  # as the command line's
    for table in tables:
        console.print(table, markup=False)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    return text


@pytest.fixture(name="published")
def _published():
    return SimpleNamespace(language=language, agents=agents, videos=videos, official=OFFICIAL)


@pytest.fixture(name="drawn")
def _drawn():
    return drawn
