"""What the page says of its results is true of these results: NAMMs, sizes, the full cache, completeness."""

import re
from dataclasses import replace

import pytest
from made_records import made_plan, made_records

from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.exhibit import KeptMap, Pictures, ShadedText
from namm_xmodal.report.curves import draw_curves
from namm_xmodal.report.origin import origin_in_words
from namm_xmodal.report.page.maps import draw_maps
from namm_xmodal.report.page.render import write_page
from namm_xmodal.report.summary import summarise
from namm_xmodal.report.table import score_tables

FULL, KEYDIFF = {"full": {"policy": "full"}}, {"keydiff": {"policy": "keydiff"}}
LANGUAGE = {"video": None, "rl": None, "bootstrap": {"resamples": 100}}


def summary_of(keep=lambda record: True, **changes):
    config, plan = made_plan(**{**LANGUAGE, **changes})
    return summarise([record for record in made_records(plan) if keep(record)], plan, config.run.bootstrap)


def page_of(tmp_path, summary, exhibits=()):
    path = write_page(tmp_path / "report", summary, {"language": exhibits}, {}, "Made up")
    body = path.read_text(encoding="utf-8").partition("<body>")[2].partition("<script")[0]
    return " ".join(re.sub("<[^>]*>", " ", body).split())


def test_an_untrained_namm_is_called_untrained(tmp_path):
    text = page_of(tmp_path, summary_of())
    assert "NAMM: namm (untrained, random weights). Every other policy is a baseline." in text
    assert "Each baseline at its smallest size that keeps no less than the NAMM, or has the same budget." in text
    assert "evolved on language" not in text


def test_a_trained_namm_says_with_what_and_how_it_is_fitted():
    shipped = {"policy": "namm", "path": "namm-smollm2"}
    spec = {"mine": shipped, "here": {**shipped, "statistics": "estimated", "calibrated": 0.3}}
    _, (section,) = made_plan(policies={**FULL, **spec}, **LANGUAGE)
    words = {arm.label: origin_in_words(arm, section.section.policies[arm.label]) for arm in section.arms}
    assert words == {
        "full": "",
        "mine": "trained with smollm2-135m, used as saved",
        "here": "trained with smollm2-135m, fitted here: estimated+calibrated:0.3",
    }
    unknown = replace(section.arms[1], policy=replace(section.arms[1].policy, metadata={}))
    assert origin_in_words(unknown, shipped) == "of unknown training, used as saved"
    by_hand = replace(unknown, policy=replace(unknown.policy, metadata={"by_hand": {"value_norm": 1.0}}))
    assert origin_in_words(by_hand, shipped) == "weights set by hand, used as saved"


def test_a_namm_by_head_is_a_namm():
    inside = {"policy": "by_head", "base": {"policy": "namm", "path": "namm-universal"}, "shares": "smollm2-135m"}
    around = {**inside, "base": {"policy": "keydiff"}}
    _, (section,) = made_plan(policies={**FULL, "mine": inside, "theirs": around}, **LANGUAGE)
    learned = {arm.label: (arm.learned, origin_in_words(arm, inside)) for arm in section.arms}
    assert learned["mine"] == (True, "weights set by hand, used as saved")
    assert learned["theirs"] == (False, "")


def test_a_fit_that_a_namm_by_head_would_miss_is_refused():
    inside = {"policy": "by_head", "base": {"policy": "namm", "path": "namm-smollm2"}, "shares": "smollm2-135m"}
    with pytest.raises(ConfigError, match=r"policies\.mine\.base: uses the statistics saved with it"):
        made_plan(policies={**FULL, "mine": inside}, fit="estimated", **LANGUAGE)


def test_without_a_namm_nothing_is_said_of_one(tmp_path):
    text = page_of(tmp_path, summary_of(policies={**FULL, **KEYDIFF}))
    assert "No NAMM is among the policies; all are baselines." in text
    assert "Each policy at its smallest size." in text
    for word in ("Wins, ties, losses", "than the NAMM", "NAMMs are marked"):
        assert word not in text


def test_sections_with_and_without_a_namm_are_told_apart(tmp_path):
    rl = {"model": "tmaze", "episodes": 2, "update_every": 16, "policies": {"namm": None}}
    text = page_of(tmp_path, summary_of(rl=rl))
    assert "In language, each baseline at its smallest size" in text
    assert "in rl, where there is no NAMM, each policy at its smallest size." in text


def test_without_a_full_cache_the_page_says_so(tmp_path):
    text = page_of(tmp_path, summary_of(policies=KEYDIFF))
    assert "language: without keys and text, where no full cache ran." in text
    assert "too uncertain" not in text and "Relative to full" not in text


def test_the_full_cache_alone_has_a_table_and_no_curve(tmp_path):
    summary = summary_of(policies=FULL)
    assert draw_curves(summary, "language") is None
    text = page_of(tmp_path, summary)
    assert re.search(r"24 items of keys and text; 1 arm\b", text)
    assert "Score relative to the full cache, mean" not in text


def test_one_item_and_skipped_items_are_counted(tmp_path):
    one = summary_of(lambda record: record.item == "keys/0")
    assert "m; 1 item of keys; 9 arms" in page_of(tmp_path, one)
    assert "Skipped" not in page_of(tmp_path, one)
    config, plan = made_plan(**LANGUAGE)
    records = [replace(each, status="skipped", scores={}) if each.number == 3 else each for each in made_records(plan)]
    assert "Skipped" in page_of(tmp_path, summarise(records, plan, config.run.bootstrap))


def test_an_incomplete_evaluation_looks_incomplete(tmp_path, drawn):
    part = summary_of(lambda record: record.number < 2)
    assert part.incomplete == "36 of 216 results"
    assert "36 of 216 results: the evaluation is not complete." in page_of(tmp_path, part)
    assert "36 of 216 results: the evaluation is not complete." in " ".join(drawn(score_tables(part, 100), 100).split())
    whole = summary_of()
    assert whole.incomplete == ""
    assert "not complete" not in page_of(tmp_path, whole) + drawn(score_tables(whole, 100), 100)


def test_the_legend_of_the_terminal_explains_what_occurs(drawn):
    def legend(summary):
        return " ".join(drawn(score_tables(summary, 200), 200).split())

    assert "paired difference to the full cache" in legend(summary_of())
    assert "IQM" not in legend(summary_of())
    alone = legend(summary_of(policies=KEYDIFF))
    assert "paired difference" not in alone and "score [95% interval]; below: cache kept when answering." in alone
    rl = {"rl": {"model": "tmaze", "episodes": 6, "score": "return", "update_every": 16}}
    assert "IQM: mean of the middle half." in legend(summary_of(**{**rl, "language": None}))


def test_captions_say_things_once(tmp_path):
    text = ShadedText("A sample of keys", "namm, 25%", ("a", "b"), (2,), (("..",),))
    maps = [KeptMap("Kept of a sample of keys", f"namm, {size}%", "layer", "kv head", ((0.25,),)) for size in (50, 25)]
    strip = Pictures("What falls first?", "recency, 25%", ("0 s",), ("",), "Dark is gone.")
    words = page_of(tmp_path, summary_of(), [text, *maps, strip])
    assert "What falls first? recency, 25%. Dark is gone." in words
    assert words.count("Kept of a sample of keys") == 1
    assert (
        "language: Kept of a sample of keys, by layer and kv head: namm, 50%, 25% kept; namm, 25%, 25% kept." in words
    )
    assert "the stronger the colour of a token, the more layers and heads still hold it" in words
    assert "darker" not in words and "?." not in words


def test_panels_of_one_task_name_their_metrics_and_the_caption_names_it_once():
    config, plan = made_plan(**LANGUAGE)
    records = [replace(each, scores={**each.scores, "exact_match": 1.0}) for each in made_records(plan)]
    figure = draw_curves(summarise(records, plan, config.run.bootstrap), "language")
    titles = [axis.get_title() for axis in figure.drawing.axes if axis.get_visible()]
    assert len(set(titles)) == len(titles) == 4
    assert "keys: exact_match" in titles
    assert figure.alt.endswith("on keys and text; the tables give every value.")


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_maps_have_whole_numbers_at_their_ticks(rows):
    shown = KeptMap("Kept", "namm, 25%", "layer", "kv head", tuple((0.5, 1.0) for _ in range(rows)))
    axis = draw_maps("kept", [shown]).drawing.axes[0]
    ticks = [*axis.get_xticks(), *axis.get_yticks()]
    assert all(float(tick).is_integer() for tick in ticks)
    assert len(axis.get_yticks()) == min(rows, 10)
