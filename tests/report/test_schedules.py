"""Tables, page and curves say which schedule a score is of and what it knew, where more than one could be meant."""

import pytest
from made_records import LOSSES, made_plan, record

from namm_xmodal.report.curves import draw_curves
from namm_xmodal.report.page.headline import overview, tallies
from namm_xmodal.report.page.render import write_page
from namm_xmodal.report.summary import summarise
from namm_xmodal.report.table import score_tables

AGNOSTIC, AWARE = "before the question is read (question-agnostic)", "after the question was read (query-aware)"


def made(*schedules):
    """Every schedule loses as much again as the one before it."""
    tasks = {"keys": {"task": "key_retrieval", "n": 12}}
    language = {"model": "tiny-random", "tasks": tasks, "update_every": 128, "schedules": list(schedules)}
    config, plan = made_plan(video=None, rl=None, language=language, bootstrap={"resamples": 100})
    (section,) = plan
    records = []
    for item in section.items:
        for arm in section.arms:
            times = 0 if arm.full else 1 + schedules.index(arm.schedule)
            score = 0.9 - times * LOSSES.get(arm.label, 0.0) - 0.01 * (item.number % 3)
            records.append(record(section, item, arm, score, 1.0 if arm.full else float(arm.budget)))
    return config, summarise(records, plan, config.run.bootstrap)


def test_tables_and_page_name_the_schedule_and_what_it_knew(drawn, tmp_path):
    config, summary = made("streaming", "post_context", "post_prefill")
    text = " ".join(drawn(score_tables(summary, 160), 160).split())
    for words in ("keydiff · streaming", "keydiff · post_context", "keydiff · post_prefill", AGNOSTIC, AWARE):
        assert words in text
    write_page(tmp_path, summary, {}, config.to_mapping(), "made")
    page = (tmp_path / "index.html").read_text()
    assert AGNOSTIC in page and AWARE in page and "keydiff · post_context" in page
    assert '<tr class="learned"><th scope="row">namm · post_context</th>' in page
    figure = draw_curves(summary, "language")
    (legend,) = figure.drawing.legends
    assert {"namm · streaming", "namm · post_context", "namm · post_prefill"} <= {
        each.get_text() for each in legend.get_texts()
    }


def test_the_overview_and_comparisons_do_not_mix_schedules():
    _, summary = made("post_context", "post_prefill")
    found = overview(summary)
    assert list(found)[:2] == ["namm · post_context", "namm · post_prefill"]
    shares = [found[f"recency · {name}"]["language"].relative for name in ("post_context", "post_prefill")]
    assert shares[0] > shares[1]
    for tally in tallies(summary):
        assert tally.ours.split(" · ")[1].split(",")[0] == tally.theirs.split(" · ")[1]


@pytest.mark.parametrize("schedules", [("streaming",), ("post_context",)])
def test_one_schedule_is_explained_only_if_it_is_not_the_usual_one(drawn, schedules):
    _, summary = made(*schedules)
    text = " ".join(drawn(score_tables(summary, 160), 160).split())
    assert (AGNOSTIC in text) == (schedules == ("post_context",))
    assert "query-aware" not in text and "· streaming" not in text
