"""Narrow terminals fold columns into further tables; no digit of the widest published results is lost."""

from collections import Counter
from dataclasses import replace

import pytest

from namm_xmodal.evolution.generation import Generation, Spread
from namm_xmodal.report.evolution_table import generation_tables
from namm_xmodal.report.rollout_table import rollout_tables
from namm_xmodal.report.table import score_tables
from namm_xmodal.report.video_table import video_tables

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
@pytest.mark.parametrize("name", ["held_out", "held_out_gemma3"])
def test_language(published, drawn, name, width):
    summary = published.language(name)
    narrow, wide = (drawn(score_tables(summary, each), each) for each in (width, 400))
    assert_nothing_lost(narrow, wide)
    for policy in {cell.policy for cell in summary.cells}:
        assert policy in narrow


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["memory", "halfcheetah", "paper"])
def test_agents(published, drawn, name, width):
    rows = [replace(row, failed=1) for row in published.agents(name)]
    narrow, wide = (drawn(rollout_tables(rows, "title", "d4rl", each), each) for each in (width, 400))
    assert_nothing_lost(narrow, wide)
    for row in rows:
        for value in (row.scores or row.returns).by_model.values():
            assert f"{value:.2f}" in narrow or f"{value:.1f}" in narrow or f"{value:.0f}" in narrow
    assert f"{len(rows)} episodes failed" in " ".join(narrow.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["namm", "stamps"])
def test_videos(published, drawn, name, width):
    rows = [replace(row, generated=0.25, generated_answered=0.5, unparsed=3) for row in published.videos(name)]
    # 117 is the widest terminal with two digits, where everything but the costs stands in one table.
    narrow, wide = (drawn(video_tables(rows, published.official, each), each) for each in (width, 117))
    assert_nothing_lost(narrow, wide)
    for head in ("(official)", "prefill", "decode", "KiB", "accuracy by kind", "accuracy by place of the evidence"):
        assert head in narrow


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


def test_a_label_of_any_length_is_folded(published, drawn):
    label = "a_policy_of_a_name_that_is_longer_than_anything_that_ships_with_the_package"
    rows = [replace(row, policy=label) for row in published.agents("memory")[:2]]
    text = drawn(rollout_tables(rows, "title", "", 60), 60)
    assert label in "".join(line[:32].strip() for line in text.splitlines())


def test_brackets_in_labels_are_no_markup(published, drawn):
    label = "h2o[red][0.5][/red] :smile:"
    summary = published.language("held_out_4k")
    marked = replace(summary, cells=tuple(replace(cell, policy=label) for cell in summary.cells))
    texts = [
        drawn(score_tables(marked, 100), 100),
        drawn(rollout_tables([replace(row, policy=label) for row in published.agents()], "title", "", 100), 100),
        drawn(video_tables([replace(row, policy=label) for row in published.videos()], published.official, 100), 100),
    ]
    assert all(label in text for text in texts)
