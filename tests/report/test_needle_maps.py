"""The map of a needle in a haystack: a panel for each arm, a cell for each length and depth, means as computed by hand."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from made_records import made_plan, made_records

from namm_xmodal.report.depths import draw_depths
from namm_xmodal.report.page.render import write_page
from namm_xmodal.report.summary import summarise

DEPTHS = (0.1, 0.5, 0.9)


def summary_of(lengths, keep=lambda record: True, depths=DEPTHS):
    """Of language alone; items go through all pairs of length and depth in turn."""
    config, plan = made_plan(video=None, rl=None, bootstrap={"resamples": 100})
    cells = list(product(lengths, depths))
    records = [
        replace(each, tags=dict(zip(("length", "depth"), cells[each.number % len(cells)], strict=True)))
        for each in made_records(plan)
        if keep(each)
    ]
    return summarise(records, plan, config.run.bootstrap), records


def visible(figure):
    return [axis for axis in figure.drawing.axes if axis.get_visible() and axis.get_label() != "<colorbar>"]


def test_needle_maps_have_a_panel_for_every_arm_and_the_mean_of_every_cell():
    summary, records = summary_of((512, 2048))
    figure = draw_depths(summary, "language", "keys")
    titles = [axis.get_title() for axis in visible(figure)]
    policies = ("keydiff", "random", "recency", "namm")
    assert titles == ["full", *(f"{policy}, {size}" for policy in policies for size in ("50%", "25%"))]
    for place, (policy, budget) in {0: ("full", None), 4: ("keydiff", 0.5), 11: ("namm", 0.25)}.items():
        for row, depth in enumerate(DEPTHS):
            for column, length in enumerate((512, 2048)):
                scores = [
                    each.scores["answer_probability"]
                    for each in records
                    if (each.task, each.policy, each.budget) == ("keys", policy, budget)
                    and (each.tags["length"], each.tags["depth"]) == (length, depth)
                ]
                assert len(scores) == 2
                name = policy if budget is None else f"{policy}, {budget:.0%}"
                assert figure.values[f"cell-{place}-{row}-{column}"] == (
                    f"{name}: {length:,} tokens, depth {depth:.0%}: answer_probability {np.mean(scores):.2f}, n = 2"
                )
                assert f"{np.mean(scores):.2f}" in [text.get_text() for text in figure.drawing.axes[place].texts]
    assert len(figure.values) == 9 * 6
    (bar,) = [axis for axis in figure.drawing.axes if axis.get_label() == "<colorbar>"]
    assert bar.get_ylabel() == "answer_probability\nn = 2 per cell" and bar.get_ylim() == (0, 1)
    assert visible(figure)[0].get_ylim()[0] > visible(figure)[0].get_ylim()[1]  # depth 0 is above


def test_needle_maps_of_a_single_length_are_one_panel():
    summary, _ = summary_of((2048,), depths=(0.1, 0.3, 0.6, 0.9))
    figure = draw_depths(summary, "language", "keys")
    (axis,) = visible(figure)
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert (names[0], names[1], len(names)) == ("full", "keydiff, 50%", 9)
    assert [text.get_text() for text in axis.get_xticklabels()] == ["10%", "30%", "60%", "90%"]
    assert axis.get_xlabel() == "depth in 2,048 tokens"


def test_needle_maps_leave_cells_without_results_empty_and_say_how_many_there_are():
    summary, _ = summary_of((512, 2048), lambda each: each.policy == "full" or each.number not in (0, 6, 7))
    figure = draw_depths(summary, "language", "keys")
    assert "n = 1 to 2 per cell" in figure.alt
    assert "cell-4-0-0" not in figure.values and "cell-0-0-0" in figure.values


@pytest.mark.parametrize(
    ("lengths", "keep", "depths"),
    [
        ((512, 2048), lambda each: each.number not in (0, 6), DEPTHS),  # a pair that nobody has
        ((512, 2048), lambda each: True, (0.5,)),  # a single depth
        ((512,), lambda each: True, DEPTHS),  # three cells
    ],
)
def test_needle_maps_need_a_full_grid(lengths, keep, depths):
    summary, _ = summary_of(lengths, keep, depths)
    assert draw_depths(summary, "language", "keys") is None


def test_needle_maps_are_in_the_page_and_beside_it(tmp_path):
    summary, _ = summary_of((512, 2048))
    page = write_page(tmp_path, summary, {}, {}, "needles").read_text(encoding="utf-8")
    assert "answer_probability by length and depth of the fact, n = 2 per cell" in page
    assert (tmp_path / "depths-language-keys.png").stat().st_size > 10_000
    assert (tmp_path / "depths-language-keys.svg").exists()
    assert 'href="depths-language-keys.png"' in page
