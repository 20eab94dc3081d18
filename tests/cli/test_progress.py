"""Progress where there is no terminal: a line now and then on stderr, nothing for what is quickly done."""

import io

import pytest
from rich.console import Console

from namm_xmodal.cli import console


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    return now


def test_a_line_every_half_minute_with_what_is_left(clock, capsys):
    with console.progress("evaluating") as on_progress:
        for done in range(21, 61):  # an earlier session had done 20
            clock[0] += 3
            on_progress(done, 60, f"video: item {done}")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "evaluating: 30 of 60 after 30 s, about 100 s left (video: item 30)".replace("100 s", "2 min")
    assert len(lines) == 4
    assert lines[-1] == "evaluating: 60 of 60 after 2 min (video: item 60)"


def test_what_is_done_within_half_a_minute_prints_nothing(clock, capsys):
    with console.progress("filming") as on_progress:
        clock[0] += 29
        on_progress(1, 2, "")
    assert capsys.readouterr().err == ""


def test_what_is_left_is_that_of_the_section(clock, capsys):
    with console.sectioned_progress("evaluating") as (on_progress, on_section):
        on_progress(0, 120, "")
        for name, begin, end, seconds in [("video", 0, 20, 10), ("rl", 20, 120, 1)]:
            on_section(name, begin, end)
            for done in range(begin + 1, end + 1):
                clock[0] += seconds
                on_progress(done, 120, "")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "evaluating: 3 of 120 after 30 s, about 3 min left in video"  # 17 items of 10 s
    assert "evaluating: 60 of 120 after 4 min, about 60 s left" in lines  # 60 of 1 s


def test_a_bar_says_the_same_of_what_is_left(clock, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(console, "errors", Console(file=screen, force_terminal=True, width=120))
    with console.sectioned_progress("evaluating") as (on_progress, on_section):
        on_section("video", 0, 20)
        clock[0] += 30
        on_progress(3, 120, "item 3")
    assert "3/120" in screen.getvalue() and "about 3 min left in video item 3" in screen.getvalue()
