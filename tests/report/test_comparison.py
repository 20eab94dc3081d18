"""Arms compared on the same items, within a run at equal sizes and between two runs."""

import json
from dataclasses import replace

import pytest
from made_records import LOSSES, made_plan, made_records
from typer.testing import CliRunner

from namm_xmodal.cli.app import app
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.estimate import paired
from namm_xmodal.evaluation.modality import Kept
from namm_xmodal.evaluation.results_folder import open_results
from namm_xmodal.report.comparison import against_baselines, compare, equal_size
from namm_xmodal.report.differences import differences
from namm_xmodal.report.page.headline import overview, tallies
from namm_xmodal.report.page.sentences import left_out
from namm_xmodal.report.read import read_results


def row_of(summary, policy, budget, section="language", task="keys"):
    return next(row for row in summary.of(section, task) if (row.policy, row.budget) == (policy, budget))


def keeping(row, share):
    return replace(row, records=tuple(replace(each, kept=Kept(share)) for each in row.records))


def test_a_difference_is_paired(summary):
    ours, theirs = row_of(summary, "namm", 0.5), row_of(summary, "keydiff", 0.5)
    found = compare(ours, theirs, "answer_probability", summary)
    values = [[each["answer_probability"] for each in row.scores.values()] for row in (ours, theirs)]
    assert found.difference == paired(*values, resamples=100)
    assert found.difference.value == pytest.approx(LOSSES["keydiff"] - LOSSES["namm"], abs=0.01)
    assert (found.verdict, compare(theirs, ours, "answer_probability", summary).verdict) == ("win", "loss")
    assert compare(ours, ours, "answer_probability", summary).verdict == "tie"
    nothing = replace(theirs, scores={})
    assert compare(ours, nothing, "answer_probability", summary) is None


def test_few_items_have_no_verdict_and_low_metrics_win_downwards(summary):
    found = compare(row_of(summary, "namm", 0.5), row_of(summary, "random", 0.5), "answer_probability", summary)
    assert replace(found, higher_is_better=False).verdict == "loss"
    assert replace(found, difference=replace(found.difference, n=9)).verdict == "too few"


def test_a_baseline_counts_at_its_smallest_size_that_is_not_smaller(summary):
    half, quarter = row_of(summary, "keydiff", 0.5), row_of(summary, "keydiff", 0.25)
    ours = row_of(summary, "namm", 0.25)
    assert equal_size(ours, [half, quarter]) is quarter
    free = replace(ours, budget=None)
    assert equal_size(keeping(free, 0.3), [half, quarter]) is half
    assert equal_size(keeping(free, 0.255), [half, quarter]) is quarter  # a hundredth is no difference
    assert equal_size(keeping(free, 0.6), [half, quarter]) is None
    assert (
        equal_size(keeping(ours, 0.3), [keeping(quarter, 0.27)]).budget == ours.budget == 0.25
    )  # the same was asked for


def test_wins_ties_and_losses(summary):
    found = {(each.section, each.ours, each.theirs): each for each in tallies(summary)}
    assert len(found) == 3 * 2 * 3  # sections, sizes, baselines
    assert found["language", "namm, 25%", "random"].count("win") == 2  # of two tasks
    assert found["rl", "namm, 50%", "recency"].count("win") == 1
    for each in against_baselines(summary, row_of(summary, "namm", 0.25)):
        assert (each.theirs.budget, each.theirs.full, each.theirs.learned) == (0.25, False, False)
    shown = overview(summary)
    assert next(iter(shown)) == "namm"
    assert shown["recency"]["language"].relative == pytest.approx(0.07 / 0.87, abs=0.02)
    assert shown["recency"]["language"].kept == 0.25
    assert left_out(shown) == {}


def test_a_task_that_the_full_cache_fails_is_left_out_of_the_mean_by_name(summary):
    rows = []
    for row in summary.rows:
        cells = {name: replace(cell, relative=None) for name, cell in row.cells.items()}
        rows.append(replace(row, cells=cells) if (row.section, row.task) == ("language", "keys") else row)
    shown = overview(replace(summary, rows=tuple(rows)))
    (other,) = (task for task in summary.tasks("language") if task != "keys")
    alone = row_of(summary, "recency", 0.25, task=other)
    (mean,) = (cell.relative.value for cell in alone.cells.values() if cell.metric.headline)
    assert shown["recency"]["language"].relative == pytest.approx(mean)
    assert left_out(shown) == {"language": ["keys"]}


# ------------------------------------------------------------------ two runs
@pytest.fixture
def folder(tmp_path):
    """Writes results of a random language model."""

    def write(name, gain=0.0, seed=0, **changes):
        config, plan = made_plan(
            tmp_path / name, video=None, rl=None, seed=seed, bootstrap={"resamples": 100}, **changes
        )
        with open_results(config, plan, fresh=False, notice=print) as journal:
            for each in made_records(plan):
                more = gain if each.policy == "namm" else 0.0
                journal.append(replace(each, scores={name: value + more for name, value in each.scores.items()}))
        return tmp_path / name

    return write


def test_runs_are_compared_arm_by_arm(folder):
    found = differences(read_results(folder("a", gain=0.05)), read_results(folder("b")))
    assert len(found) == 2 * 9  # two tasks; the full cache, four policies at two sizes
    changes = {each.ours.policy: (each.difference.value, each.verdict) for each in found}
    assert changes == {
        **dict.fromkeys(("full", "keydiff", "random", "recency"), (0.0, "tie")),
        "namm": (pytest.approx(0.05), "win"),
    }


def test_what_was_kept_is_of_the_common_items(folder):
    both = [read_results(folder(name)) for name in ("a", "b")]
    records = [
        replace(each, kept=replace(each.kept, fraction=0.9 if each.item.endswith("/0") else 0.1))
        for each in both[0].records
    ]
    fewer = [each for each in records if each.item.endswith(("/0", "/1"))]
    found = differences(replace(both[0], records=records), replace(both[1], records=fewer))
    assert {each.difference.n for each in found} == {2}
    assert all(each.kept == pytest.approx((0.5, 0.5)) for each in found)
    assert found[0].to_json()["ours"]["kept"] == pytest.approx(0.5)


def test_the_command_prints_a_table_or_json(folder):
    ours, theirs = folder("a", gain=0.05), folder("b")
    line = ["compare", str(ours), str(theirs)]
    shown = CliRunner().invoke(app, line, env={"COLUMNS": "100", "NO_COLOR": "1"})
    assert shown.exit_code == 0, shown.output
    assert "+0.050 [+0.050, +0.050]*" in shown.stdout
    found = json.loads(CliRunner().invoke(app, [*line, "--json"]).stdout)
    assert {each["verdict"] for each in found if each["ours"]["policy"] == "namm"} == {"win"}
    assert found[0]["difference"]["n"] == 12


def test_runs_without_pairs_are_refused_in_one_line(folder):
    one = read_results(folder("a"))
    with pytest.raises(ResultsError, match="seed 0 against seed 1: items differ, so they cannot be paired"):
        differences(one, read_results(folder("b", seed=1)))
    alone = read_results(folder("c", policies={"random": {"policy": "random"}}))
    with pytest.raises(ResultsError, match="no arm and task in common"):
        differences(alone, read_results(folder("d", policies={"recency": {"policy": "recency"}})))
    longer = replace(one, records=[replace(each, tags={"length": 512}) for each in one.records])
    with pytest.raises(
        ResultsError, match=r"language: keys/0: length None against 512: different items of the same name"
    ):
        differences(one, longer)


def test_results_of_an_earlier_version_are_refused_with_the_reason(folder, tmp_path):
    folder("a")
    old = tmp_path / "a" / "results.jsonl"
    old.write_text('{"format":1,"config":"abc","settings":{},"versions":{}}\n')
    for command in (["report", str(old.parent)], ["compare", str(old.parent), str(old.parent)]):
        shown = CliRunner().invoke(app, command)
        assert shown.exit_code == 2
        assert "results format 1, this version reads 2" in " ".join(shown.stderr.split())
        assert len(shown.stderr.strip().splitlines()) == 1
