"""Plots draw the numbers of the rows, and say in their metadata which policies they show; README's shows what ships."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from namm_xmodal.report.picture import POLICIES, fingerprints, save_figure
from PIL import Image

from namm_xmodal.agents.survivors import AGES
from namm_xmodal.config import load_eval_config
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.report import plot, rollout_plot, video_plot

README = Path(__file__).parents[2] / "README.md"
FOUND = {"h2o": ["0123456789ab", "ba9876543210"], "namm [1]": ["c0ffee"]}


def pictured(path):
    with Image.open(path) as picture:
        return json.loads(picture.info[POLICIES])


def test_readme_shows_the_policy_that_ships():
    assert "docs/images/demo.png" in README.read_text(encoding="utf-8")
    shown = pictured(README.parent / "docs" / "images" / "demo.png")
    plan = make_plan(load_eval_config("language/demo"))
    assert list(shown) == list(dict.fromkeys(run.label for run in plan.runs))
    now = [run.fingerprint for run in plan.runs if run.label == "namm"]
    assert shown["namm"] == now, (
        "older than the shipped policy: make demo, cp results/demo/scores.png docs/images/demo.png"
    )


def test_other_weights_are_another_fingerprint():
    """What the test above rests on: a change of one weight shows."""
    from namm_xmodal import Namm
    from namm_xmodal.policies.fingerprint import fingerprint

    shipped = Namm.from_pretrained("namm-smollm2")
    changed = shipped.parameters.clone()
    changed[0, 0] += 1e-6
    assert fingerprint(replace(shipped, parameters=changed)) != fingerprint(shipped)


@pytest.fixture
def saved(monkeypatch):
    """Keeps the figures that are saved."""
    figures = []

    def keep(figure, path, policies, dpi=150):
        figures.append(figure)
        return save_figure(figure, path, policies, dpi)

    for module in (plot, rollout_plot, video_plot):
        monkeypatch.setattr(module, "save_figure", keep)
    return figures


def points(axis):
    """Label -> (x, y) of each line with a label."""
    return {
        line.get_label(): (line[0].get_xdata(), line[0].get_ydata())
        for line in axis.containers
        if not line.get_label().startswith("_")
    }


def check_files(written, policies):
    png, svg = written
    assert pictured(png) == policies
    assert svg.read_text(encoding="utf-8").count("</svg>") == 1


def test_scores_of_language(published, saved, tmp_path):
    summary = published.language("held_out_gemma3")
    check_files(plot.plot_scores(summary, tmp_path / "scores", "title", FOUND), FOUND)
    shown = {axis.get_title(): axis for axis in saved[0].axes if axis.get_title()}
    for task, metric in summary.columns():
        cells = [cell for cell in summary.shown() if cell.column == (task, metric) and cell.policy == "keydiff"]
        x, y = points(shown[task])["keydiff"]
        assert y == pytest.approx([cell.score.mean for cell in sorted(cells, key=lambda cell: cell.kept)])
        assert np.all(np.abs(x - 100 * np.sort([cell.kept for cell in cells])) < 5)  # moved aside a little


def test_scores_of_agents(published, saved, tmp_path):
    rows = published.agents("memory")
    check_files(rollout_plot.plot_rollouts(rows, tmp_path / "scores", "title", "success", FOUND), FOUND)
    (axis,) = saved[0].axes
    assert axis.get_ylabel() == f"success, {rows[0].returns.kind}, n = {rows[0].returns.n}"
    for label in {row.policy for row in rows}:
        line = sorted((row for row in rows if row.policy == label), key=lambda row: row.kept_mean)
        x, y = points(axis)[label]
        assert x == pytest.approx([max(row.kept_mean, 1.0) for row in line])
        assert y == pytest.approx([(row.scores or row.returns).value for row in line])


def test_survivors_of_agents(published, saved, tmp_path):
    bins = len(AGES) + 1
    share = [[[1.0 - 0.1 * kind - 0.01 * each for each in range(bins)] for kind in range(3)] for _layer in range(2)]
    share[0][1][2] = None  # a bin that was never filled
    rows = [replace(row, survivors=share) for row in published.agents("memory")[:5]]
    check_files(rollout_plot.plot_survivors(rows, AGES, tmp_path / "survivors", "title", FOUND), FOUND)
    visible = [axis for axis in saved[0].axes if axis.get_visible()]
    assert [axis.get_title() for axis in visible] == [f"{row.policy}, {row.size}" for row in rows]
    for kind, line in enumerate(visible[0].lines):
        expected = np.array(share, dtype=float)[:, kind].mean(0)
        assert np.array_equal(line.get_ydata(), expected, equal_nan=True)
        assert line.get_label() == rollout_plot.KINDS[kind]
    assert len(visible[0].get_xticklabels()) == bins


def test_accuracy_of_videos(published, saved, tmp_path):
    rows = published.videos("namm")
    check_files(video_plot.plot_videos(rows, tmp_path / "accuracy", "title", FOUND), FOUND)
    overall, *apart = [axis for axis in saved[0].axes if axis.get_visible()]
    assert overall.get_title() == "all questions, n = 500"
    line = sorted((row for row in rows if row.policy == "keydiff"), key=lambda row: row.kept)
    x, y = points(overall)["keydiff"]
    assert x == pytest.approx([100 * row.kept for row in line])
    assert y == pytest.approx([row.accuracy.mean for row in line])
    assert [axis.get_title().split(",")[0] for axis in apart] == ["after", "colour", "count", "direction", "first"]
    drawn = [list(each.get_ydata()) for each in apart[0].lines]
    assert [row.apart["kind"]["after"][0] for row in line] in drawn


def test_fingerprints_of_records():
    class Made:
        def __init__(self, policy, fingerprint):
            self.policy, self.fingerprint = policy, fingerprint

    records = [Made("h2o", "a"), Made("full", "f"), Made("h2o", "b"), Made("h2o", "a")]
    assert fingerprints(records) == {"h2o": ["a", "b"], "full": ["f"]}
