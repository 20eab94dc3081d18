"""Means over the tasks of a suite, raw and relative to the full cache."""

import json

import pytest
from evaluations import make, plan_of, run
from suite_folders import longbench

from namm_xmodal.config import BootstrapConfig
from namm_xmodal.evaluation.relative import mean_ratio
from namm_xmodal.report.means import means_of
from namm_xmodal.report.summary import summarise
from namm_xmodal.report.table import score_tables
from namm_xmodal.report.write import write_report


def test_a_mean_of_ratios_leaves_out_what_is_not_positive():
    values, reference = [1.0, 3.0, 5.0, 0.2, 0.4], [2.0, 2.0, 0.0, 0.4, 0.8]
    found = mean_ratio(values, reference, ["a", "a", "b", "c", "c"], resamples=200)
    assert found.by_stratum == {"a": 1.0, "c": pytest.approx(0.5)}  # (1 + 3) / (2 + 2) and 0.6 / 1.2
    assert found.value == pytest.approx(0.75) and found.n == 4
    assert found.low == pytest.approx(0.5) and found.high == pytest.approx(1.0)  # a: 1/2, 1, 3/2; c: always 1/2
    assert mean_ratio([1.0], [0.0], ["a"]) is None


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("means")
    data = longbench(folder / "there", ["hotpotqa", "qasper", "lcc"])
    section = {"model": "tiny-random", "suite": "longbench", "data": str(data), "update_every": 128, "budgets": [0.5]}
    policies = {"full": {"policy": "full"}, "recency": {"policy": "recency"}}
    config = make(language={**section, "policies": policies, "generate_tokens": 4}, output=str(folder / "out"))
    return config, run(config)


def with_scores(records, scores):
    """The same records with scores that are known: by policy and task, one for each item."""
    from dataclasses import replace

    names = {"hotpotqa": "f1", "qasper": "f1", "lcc": "code_similarity"}
    return [
        replace(
            record, scores={names[record.task]: scores[record.policy][record.task][record.number], "empty_answer": 0.0}
        )
        for record in records
    ]


SCORES = {
    "full": {"hotpotqa": [0.5, 0.5], "qasper": [0.0, 0.0], "lcc": [1.0, 0.6]},
    "recency": {"hotpotqa": [0.25, 0.25], "qasper": [0.0, 0.3], "lcc": [0.8, 0.8]},
}


def test_means_of_a_suite(results):
    config, records = results
    summary = summarise(with_scores(records, SCORES), plan_of(config), BootstrapConfig())
    full, recency = means_of(summary)
    assert full.benchmark == "LongBench" and full.tasks == 3 and full.difference is None
    assert full.score.value == pytest.approx((0.5 + 0.0 + 0.8) / 3)
    assert recency.score.value == pytest.approx((0.25 + 0.15 + 0.8) / 3)
    assert recency.difference.value == pytest.approx((-0.25 + 0.15 + 0.0) / 3)
    assert recency.relative.by_stratum == {"hotpotqa": pytest.approx(0.5), "lcc": pytest.approx(1.0)}
    assert recency.relative.value == pytest.approx(0.75)
    titles = [table.title for table in score_tables(summary, 200)]
    assert "language: LongBench, mean of 3 tasks" in titles


def test_means_are_written(results):
    config, records = results
    write_report(with_scores(records, SCORES), config, plan_of(config))
    means = json.loads((config.folder / "summary.json").read_text())["means"]
    assert [mean["policy"] for mean in means] == ["full", "recency"] and means[1]["relative_to_full"]["n"] == 4
    assert "LongBench, mean of 3 tasks" in (config.folder / "table.txt").read_text()
    page = (config.folder / "report/index.html").read_text()
    assert "LongBench, mean of 3 tasks" in page and "0.75" in page
