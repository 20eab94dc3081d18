"""Figures draw the numbers of the rows, and say in their metadata which policies they show; README's shows what ships."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluations import load, plan_of
from made_records import made_plan, record
from PIL import Image

from namm_xmodal.agents.survivors import AGES
from namm_xmodal.evaluation.exhibit import from_json, to_json
from namm_xmodal.modalities.rl.facts import EpisodeFacts
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.report.curves import draw_curves
from namm_xmodal.report.figure import POLICIES
from namm_xmodal.report.page.maps import draw_maps

README = Path(__file__).parents[2] / "README.md"


def pictured(path):
    with Image.open(path) as picture:
        return json.loads(picture.info[POLICIES])


@pytest.mark.parametrize(
    ("picture", "configuration"),
    [("demo.png", "language/demo"), ("needle.png", README.parent / "docs/results/needle/config.yaml")],
)
def test_pictures_show_the_policies_that_ship(picture, configuration):
    shown = pictured(README.parent / "docs" / "images" / picture)
    (plan,) = plan_of(load(str(configuration), None))
    assert set(shown) == {arm.label for arm in plan.arms}
    for label in shown:
        now = {arm.fingerprint for arm in plan.arms if arm.label == label and arm.learned}
        assert not now or set(shown[label]) == now, (
            f"{label} is older than the shipped policy: evaluate {configuration} again, and copy the picture of its report"
        )


def test_readme_shows_one_of_them():
    assert "docs/images/needle.png" in README.read_text(encoding="utf-8")


def test_other_weights_are_another_fingerprint():
    """What the test above rests on: a change of one weight shows."""
    from namm_xmodal import Namm
    from namm_xmodal.policies.fingerprint import fingerprint

    shipped = Namm.from_pretrained("namm-smollm2")
    changed = shipped.parameters.clone()
    changed[0, 0] += 1e-6
    assert fingerprint(replace(shipped, parameters=changed)) != fingerprint(shipped)


def points(axis):
    """Label -> (x, y) of each line with a label."""
    return {
        line.get_label(): (line[0].get_xdata(), line[0].get_ydata())
        for line in axis.containers
        if not line.get_label().startswith("_")
    }


@pytest.mark.parametrize("section", ["language", "video", "rl"])
def test_curves_show_the_scores(summary, tmp_path, section):
    figure = draw_curves(summary, section)
    png, svg = figure.write(tmp_path)
    rows = summary.of(section)
    assert pictured(png) == {label: _fingerprints(rows, label) for label in dict.fromkeys(row.policy for row in rows)}
    assert svg.read_text(encoding="utf-8").count("</svg>") == 1
    shown = {axis.get_title(): axis for axis in figure.drawing.axes if axis.get_visible()}
    assert list(shown) == summary.tasks(section)
    for task, axis in shown.items():
        (metric,) = summary.headline(section, task)
        assert axis.get_ylabel() == f"{metric.name}, n = {summary.of(section, task)[0].cells[metric.name].score.n}"
        for label in {row.policy for row in rows if not row.full}:
            line = [row for row in summary.of(section, task) if row.policy == label]
            line = sorted(line, key=lambda row: row.kept.fraction)
            x, y = points(axis)[label]
            assert y == pytest.approx([row.cells[metric.name].score.value for row in line])
            assert np.all(np.abs(x - 100 * np.sort([row.kept.fraction for row in line])) < 5)  # moved aside a little


def _fingerprints(rows, label):
    return list(dict.fromkeys(each.fingerprint for row in rows if row.policy == label for each in row.records))


def test_survivors_are_shares_of_what_was_fed(tmp_path):
    """By kind and bin of age, over layers, looks and episodes; an empty bin stays empty, or goes at the end."""
    *_, section = made_plan()[1]
    bins, (full, keydiff, *_) = len(AGES) + 1, section.arms

    def looked(first, second):
        kept = np.zeros((2, 3, bins))
        kept[:, 1, 0] = first, second  # of two layers
        fed = np.zeros((3, bins))
        fed[:, 0], fed[2, 3] = 4, 1
        return EpisodeFacts(survivors={"kept": kept.tolist(), "fed": fed.tolist()})

    items = section.items[:2]
    records = [record(section, item, full, 1.0, facts=looked(4, 4)) for item in items]
    records += [record(section, items[0], keydiff, 1.0, 0.5, facts=looked(1, 3))]
    records += [record(section, items[1], keydiff, 1.0, 0.5, facts=looked(0, 2))]
    records += [record(section, items[1], section.arms[3], 1.0, 0.5)]  # nobody looked
    maps = MODALITIES["rl"].exhibits_of_records(section.section, records)
    assert [each.arm for each in maps] == ["full, full", "keydiff, 50%"]
    assert maps[0].shares[1] == (1.0, None, None, None)
    assert maps[0].shares[2][3] == 0.0
    assert maps[1].shares[1][0] == 0.375
    assert maps[1].row_names == ("return", "state", "action")
    assert maps[1].column_names == ("0", "1", "2 to 4", "5 to 9")
    assert from_json(json.loads(json.dumps(to_json(maps))), "here") == maps
    figure = draw_maps("survivors-rl", maps * 3)  # more than stand side by side
    visible = [axis for axis in figure.drawing.axes if axis.get_visible() and axis.get_title()]
    assert [axis.get_title() for axis in visible] == [each.arm for each in maps * 3]
    assert figure.values["cell-1-1-0"] == "keydiff, 50%: state, 0: 37.5% kept"
    assert "cell-1-1-1" not in figure.values
    assert all(path.stat().st_size > 1000 for path in figure.write(tmp_path))
