"""Summary, table and plot of made-up records with known means."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from rich.console import Console

from namm_xmodal.config import EvalConfig
from namm_xmodal.errors import ResultsError
from namm_xmodal.report import summarise, write_report
from namm_xmodal.report.table import score_tables

CONFIG = {
    "model": "tiny-random",
    "tasks": {
        "keys": {"task": "key_retrieval", "n": 8},
        "code": {"task": "code_completion", "n": 8},
        "text": {"task": "next_token", "n": 8},
    },
    "policies": {"full": {"policy": "full"}, "h2o": {"policy": "h2o"}},
}


@pytest.fixture
def tasks():
    from namm_xmodal.language.table import TASKS

    return {label: TASKS[spec["task"]]() for label, spec in CONFIG["tasks"].items()}


def drawn(tables, width):
    console = Console(width=width, record=True, file=open("/dev/null", "w"), force_terminal=False)
    for table in tables:
        console.print(table)
    return console.export_text()


def find(summary, **wanted):
    return next(cell for cell in summary.cells if all(getattr(cell, name) == value for name, value in wanted.items()))


def test_differences_are_paired_with_the_full_cache(tasks, evaluation):
    summary = summarise(evaluation(), tasks)
    cell = find(summary, task="keys", policy="namm", budget=0.25, metric="answer_probability")
    assert cell.difference.mean == pytest.approx(-0.4, abs=0.01)
    assert cell.difference.excludes_zero
    assert cell.difference.n == 8
    assert cell.kept == pytest.approx(0.3)
    assert find(summary, policy="full").difference is None


def test_pairs_only_samples_that_both_have(tasks, evaluation):
    records = [each for each in evaluation() if each.policy != "full" or each.sample < 3]
    cell = find(summarise(records, tasks), task="keys", policy="h2o", budget=0.5)
    assert (cell.score.n, cell.difference.n) == (8, 3)


def test_without_a_full_cache_there_is_no_difference(tasks, evaluation):
    summary = summarise([each for each in evaluation() if each.policy != "full"], tasks)
    assert all(cell.difference is None for cell in summary.cells)
    assert "excludes 0" in drawn(score_tables(summary, 100), 100)


def test_one_sample_has_no_interval(tasks, record):
    summary = summarise([record(answer_probability=0.5)], tasks)
    assert "0.50 [n = 1]" in drawn(score_tables(summary, 80), 80)
    assert json.loads(json.dumps(summary.cells[0].to_json()))["score"]["low"] is None


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_tables_fit_the_terminal_and_show_everything(tasks, width, evaluation):
    summary = summarise(evaluation(protocols=("clock", "prompt_end")), tasks)
    text = drawn(score_tables(summary, width), width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("keys", "code", "text", "h2o", "snapkv", "namm", "50%", "25%", "n = 8", "prompt_end", "…")[:-1]:
        assert word in text
    assert "…" not in text
    assert text.count("0.87 [") > 2


def test_small_scores_get_more_digits(tasks, record):
    records = [record("text", i, token_probability=0.1 + 0.001 * (i % 4)) for i in range(12)]
    records += [
        record("text", i, "h2o", 0.5, "clock", 0.5, token_probability=0.096 + 0.001 * (i % 4)) for i in range(12)
    ]
    text = drawn(score_tables(summarise(records, tasks), 80), 80)
    assert "0.102 [" in text
    assert "-0.004 [-0.004, -0.004]* 50%" in text


def test_headline_metrics(tasks, evaluation):
    summary = summarise(evaluation(), tasks)
    assert summary.columns() == [
        ("keys", "answer_probability"), ("keys", "exact_match"), ("code", "answer_probability"),
        ("text", "token_probability"),
    ]  # fmt: skip


def test_everything_is_written(tmp_path, evaluation):
    config = EvalConfig.model_validate({**CONFIG, "output": str(tmp_path / "out")})
    write_report(evaluation(protocols=("clock", "prompt_end")), config)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["format"] == 1
    assert {cell["task"] for cell in summary["cells"]} == {"keys", "code", "text"}
    assert (tmp_path / "out" / "scores.png").read_bytes().startswith(b"\x89PNG")
    svg = ElementTree.fromstring((tmp_path / "out" / "scores.svg").read_text())
    assert svg.tag.endswith("svg")
    assert "snapkv" in (tmp_path / "out" / "table.txt").read_text()
    assert not list((tmp_path / "out").glob(".*"))


def test_nothing_to_report(tmp_path):
    with pytest.raises(ResultsError, match="no results yet"):
        write_report([], EvalConfig.model_validate({**CONFIG, "output": str(tmp_path)}))
