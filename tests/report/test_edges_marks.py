"""Nothing is marked as a difference below ten samples, in any table, and captions say so."""

from dataclasses import replace

import pytest

from namm_xmodal.evaluation.statistics import FEWEST, Interval, bootstrap_mean
from namm_xmodal.report.table import score_tables
from namm_xmodal.report.video_table import video_tables


@pytest.mark.parametrize("n", [2, 5, 9, 10, 24])
def test_an_interval_is_marked_from_ten_samples_on(n):
    sure = Interval(0.5, 0.4, 0.6, n, 0.95, 2000, 0)
    assert sure.excludes_zero
    assert sure.marked == (n >= 10)
    assert not replace(sure, low=-0.1).marked


def test_equal_differences_of_few_samples_are_not_marked():
    """Two samples with the same difference have an interval of width zero: the bootstrap cannot know better."""
    assert bootstrap_mean([0.2, 0.2]).excludes_zero
    assert not bootstrap_mean([0.2, 0.2]).marked


def with_samples(interval, n):
    return None if interval is None else replace(interval, n=n)


@pytest.mark.parametrize(("n", "stars"), [(9, False), (10, True)])
def test_stars_and_colours_of_both_tables(published, drawn, n, stars):
    summary = published.language("held_out")
    cells = [replace(each, difference=with_samples(each.difference, n)) for each in summary.cells]
    videos = [replace(row, difference=with_samples(row.difference, n)) for row in published.videos()]
    for tables in (
        score_tables(replace(summary, cells=tuple(cells)), 100),
        video_tables(videos, published.official, 100),
    ):
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
