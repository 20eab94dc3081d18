"""Narrow terminals fold columns into further tables; no digit of wide results is lost."""

from collections import Counter
from dataclasses import replace

import pytest

from namm_xmodal.evolution.generation import Generation, Spread
from namm_xmodal.report.comparison import against_baselines, compare
from namm_xmodal.report.differences import difference_table
from namm_xmodal.report.evolution_table import generation_tables
from namm_xmodal.report.table import score_tables

WIDTHS = (60, 80, 100)


def words(text):
    """What stands in the cells, without lines and boxes."""
    kept = "".join(character if character.isalnum() or character in "+-.,[]%*()_/" else " " for character in text)
    return Counter(kept.split())


def numbers(text):
    return Counter({word: count for word, count in words(text).items() if any(letter.isdigit() for letter in word)})


def assert_nothing_lost(narrow, wide):
    """Labels and sizes are repeated in further tables, so a narrow table may have more words, never fewer."""
    assert "…" not in narrow
    missing = numbers(wide) - numbers(narrow)
    assert not missing, missing


@pytest.mark.parametrize("width", WIDTHS)
def test_scores_costs_and_groups_of_every_modality(summary, drawn, width):
    rows = [replace(row, records=(replace(row.records[0], status="failed"), *row.records[1:])) for row in summary.rows]
    summary = replace(summary, rows=tuple(rows))
    narrow, wide = (drawn(score_tables(summary, each), each) for each in (width, 400))
    assert_nothing_lost(narrow, wide)
    for word in ("language", "video", "rl", "failed", "KiB", "by length", "by depth", "by kind", "by model"):
        assert word in narrow
    for policy in {row.policy for row in summary.rows}:
        assert policy in narrow


@pytest.mark.parametrize("width", WIDTHS)
def test_differences_of_two_runs(summary, drawn, width):
    found = [each for row in summary.rows if row.learned for each in against_baselines(summary, row)]
    assert len(found) == 24  # three baselines at two sizes on four tasks
    narrow, wide = (drawn([difference_table(found, "results/a", "results/b")], each) for each in (width, 400))
    assert_nothing_lost(narrow, wide)


def test_many_tasks_with_long_names(summary, drawn):
    rows = [
        replace(row, task=f"{row.task} whose name is longer than any that ships {copy}")
        for copy in range(6)
        for row in summary.of("language")
    ]
    summary = replace(summary, rows=tuple(rows))
    narrow, wide = (drawn(score_tables(summary, each), each) for each in (60, 900))
    assert_nothing_lost(narrow, wide)


@pytest.mark.parametrize("width", WIDTHS)
def test_evolution(drawn, width):
    spread = Spread(best=1.234, mean=-0.987, worst=-1.357)
    tasks = {f"smollm2-135m/task_number_{i}": spread for i in range(4)} | {"gemma3-270m/other": spread}
    numbers = dict(sigma=0.0654, weight=0.25, score=1.0, kept=0.4321, agreement=0.5, seconds={"evaluate": 1234.5})
    generations = [
        Generation(generation=number, fitness=[], members="", mean="", total=spread, tasks=tasks, **numbers)
        for number in range(20)
    ]
    text = drawn(generation_tables(generations, 12, width), width)
    assert "…" not in text
    for value in ("1.23 / -0.99 / -1.36", "43.2%", "0.25", "0.0654", "+0.50", "1234.5"):
        assert value in text
    assert len(text.splitlines()) < 60  # fewer generations, not more lines than a live display can hold


def test_a_label_of_any_length_is_folded(summary, drawn):
    label = "a_policy_of_a_name_that_is_longer_than_anything_that_ships_with_the_package"
    rows = tuple(replace(row, policy=label) for row in summary.of("rl")[:2])
    text = drawn(score_tables(replace(summary, rows=rows), 60), 60)
    cells = [line.split("│")[1].strip() for line in text.splitlines() if line.startswith("│")]
    assert label in "".join(cells)


def test_brackets_in_labels_are_no_markup(summary, drawn):
    label = "h2o[red][0.5][/red] :smile:"
    marked = replace(summary, rows=tuple(replace(row, policy=label) for row in summary.rows))
    row = marked.of("video")[0]
    pair = compare(row, row, "accuracy", marked)
    assert label in drawn(score_tables(marked, 100), 100)
    assert label in drawn([difference_table([pair], label, "b")], 200)
