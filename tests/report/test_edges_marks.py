"""Nothing is marked as a difference below ten samples, in any table, and captions say so."""

from dataclasses import replace

import pytest

from namm_xmodal.evaluation.estimate import FEWEST, Estimate, estimate
from namm_xmodal.report.comparison import against_baselines
from namm_xmodal.report.differences import difference_table
from namm_xmodal.report.table import score_tables


@pytest.mark.parametrize("n", [2, 5, 9, 10, 24])
def test_an_interval_is_marked_from_ten_samples_on(n):
    sure = Estimate(0.5, 0.4, 0.6, n, "mean", {}, 0.95, 2000, 0)
    assert sure.excludes_zero
    assert sure.marked == (n >= 10)
    assert not replace(sure, low=-0.1).marked


def test_equal_differences_of_few_samples_are_not_marked():
    """Two samples with the same difference have an interval of width zero: the bootstrap cannot know better."""
    assert estimate([0.2, 0.2]).excludes_zero
    assert not estimate([0.2, 0.2]).marked


def with_samples(row, n):
    cells = {
        name: replace(cell, difference=cell.difference and replace(cell.difference, n=n))
        for name, cell in row.cells.items()
    }
    return replace(row, cells=cells)


@pytest.mark.parametrize(("n", "stars"), [(9, False), (10, True)])
def test_stars_and_colours_of_scores(summary, drawn, n, stars):
    tables = score_tables(replace(summary, rows=tuple(with_samples(row, n) for row in summary.rows)), 100)
    text = drawn(tables, 100)
    assert ("]*" in text) == stars
    assert f"n >= {FEWEST}" in " ".join(text.split())
    styles = {
        str(cell.style) + "".join(str(span.style) for span in cell.spans)
        for table in tables
        for column in table.columns
        for cell in column._cells
        if hasattr(cell, "spans")
    }
    assert any("red" in style for style in styles) == stars


@pytest.mark.parametrize(("n", "stars"), [(9, False), (10, True)])
def test_stars_of_comparisons(summary, drawn, n, stars):
    row = next(row for row in summary.of("video") if row.learned)
    found = [replace(each, difference=replace(each.difference, n=n)) for each in against_baselines(summary, row)]
    text = drawn([difference_table(found, "a", "b")], 120)
    assert ("]*" in text) == stars
    assert f"n >= {FEWEST}" in " ".join(text.split())
    assert {each.verdict for each in found} == ({"win"} if stars else {"too few"})
