"""Rows of made-up records with known means: n, relative scores, paired differences, scores apart, what was skipped."""

from dataclasses import replace

import numpy as np
import pytest
from made_records import made_plan, made_records, record

from namm_xmodal.envs.normalise import D4RL
from namm_xmodal.evaluation.modality import Kept
from namm_xmodal.modalities.rl.facts import EpisodeFacts
from namm_xmodal.modalities.rl.normalise import normaliser_of
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.modalities.video.facts import VideoFacts
from namm_xmodal.report.summary import summarise

FEW = {"resamples": 100}


def rows_of(plan, config, records):
    return summarise(records, plan, config.run.bootstrap).rows


def only(name, **changes):
    """The plan of one section with the full cache and KeyDiff at half the size."""
    others = {each: None for each in ("language", "video", "rl") if each != name}
    policies = {"full": {"policy": "full"}, "keydiff": {"policy": "keydiff"}}
    config, plan = made_plan(policies=policies, budgets=[0.5], bootstrap=FEW, **others, **changes)
    return config, plan, plan[0]


def test_scores_relative_to_the_full_cache_and_differences():
    config, plan = made_plan(bootstrap=FEW)
    found = {(row.section, row.task, *row.arm[:2]): row for row in rows_of(plan, config, made_records(plan))}
    cell = found["language", "keys", "keydiff", "0.25"].cells["answer_probability"]
    assert cell.score.value == pytest.approx(0.77, abs=0.01)
    assert cell.difference.value == pytest.approx(-0.1, abs=0.01)
    assert cell.relative.value == pytest.approx(0.77 / 0.87, abs=0.01)
    assert cell.difference.high - cell.difference.low < cell.score.high - cell.score.low  # hard items are hard for all
    full = found["language", "keys", "full", "None"].cells["answer_probability"]
    assert full.difference is full.relative is None
    assert found["rl", "tmaze", "namm", "0.5"].learned
    assert found["rl", "tmaze", "namm", "0.5"].kept.fraction == 0.5


def test_skipped_questions_are_left_out_and_counted():
    config, plan, section = only("video")
    (full, keydiff), items = section.arms, section.items[:5]
    skipped = {"scores": {}, "status": "skipped", "message": "no file", "kept": Kept()}
    records = [record(section, item, full, float(place != 1)) for place, item in enumerate(items[:4])]
    records += [replace(record(section, items[4], full, 0.0), **skipped)]
    records += [record(section, item, keydiff, float(place == 0), 0.5) for place, item in enumerate(items[:3])]
    one, other = rows_of(plan, config, records)
    score = one.cells["accuracy"].score
    assert (score.value, score.n, one.count("scored"), one.count("skipped")) == (0.75, 4, 4, 1)
    assert one.kept.fraction == 1.0  # of what was answered
    difference = other.cells["accuracy"].difference
    assert (difference.value, difference.n) == (pytest.approx(1 / 3 - 2 / 3), 3)
    assert (one.size, other.size) == ("full", "50%")


def test_a_metric_that_some_items_lack_is_shown_only_if_it_may_be():
    config, plan, section = only("video")
    facts = [VideoFacts(chosen=0, parsed=parsed, generated=True) for parsed in (0, 1, None, None)]
    records = [
        record(section, item, section.arms[0], 1.0, facts=each, scores={"accuracy": 1.0, "generated_accuracy": 0.0})
        for item, each in zip(section.items, facts, strict=False)
    ]
    (row,) = rows_of(plan, config, records)
    assert row.cells["unparsed"].score.value == 0.5
    assert not row.cells["unparsed"].metric.higher_is_better
    records[0].scores.pop("generated_accuracy")
    (row,) = rows_of(plan, config, records)
    assert "generated_accuracy" not in row.cells
    assert row.cells["unparsed"].score.n == 3


def test_the_official_scores_of_benchmarks():
    video = MODALITIES["video"]
    section = video.section(policies={"full": {"policy": "full"}}, benchmark="mlvu", data="absent")
    assert video.scores(section, VideoFacts(), {"accuracy": 1.0}) == {"accuracy": 1.0, "macro_accuracy": 1.0}
    (metric,) = video.metrics(section, "mlvu", ["macro_accuracy"])
    assert (metric.estimator, metric.stratified, metric.clustered) == ("macro", True, True)
    section = section.model_copy(update={"benchmark": "videomme"})
    for parsed, more in ((1, {"unparsed": 0.0, "parsed_accuracy": 1.0}), (None, {"unparsed": 1.0})):
        shown = video.scores(section, VideoFacts(parsed=parsed, generated=True), {"generated_accuracy": 1.0})
        assert shown == {"generated_accuracy": 1.0, **more}


def test_episodes_have_an_interquartile_mean_and_one_for_each_model():
    models = {"model": "tmaze", "episodes": 4, "score": "return", "update_every": 16}
    config, plan, section = only("rl", rl={**models, "model_seeds": [0, 1]})
    full, keydiff = section.arms
    records = [record(section, item, full, float(place)) for place, item in enumerate(section.items)]
    records += [record(section, item, keydiff, 2.0, 0.5) for item in section.items[:4]]
    records[-1] = replace(records[-1], status="failed", facts=EpisodeFacts(stop="failed"))
    one, other = rows_of(plan, config, records)
    score = one.cells["return"].score
    assert (score.value, score.n, score.estimator) == (np.mean([2, 3, 4, 5]), 8, "iqm")
    apart = {name: each.value for name, each in one.groups["model"].items()}
    assert apart == score.by_stratum == {"tmaze/seed-0": 1.5, "tmaze/seed-1": 5.5}
    assert (other.cells["return"].score.value, other.count("failed")) == (2.0, 1)  # with what it had until then


def test_scores_apart_by_tags_with_several_values():
    config, plan, section = only("language")
    tags = [
        {"length": length, "document": "a" * (1 + place % 3), "one": 1} for place, length in enumerate([900, 10] * 6)
    ]
    records = [
        record(section, item, section.arms[0], item.number / 10, tags=tags[item.number])
        for item in section.items
        if item.task == "keys"
    ]
    (row,) = rows_of(plan, config, records)
    assert list(row.groups) == ["length"]  # not what only says where an item comes from, or is the same for all
    assert list(row.groups["length"]) == ["10", "900"]  # as numbers are ordered
    assert [each.value for each in row.groups["length"].values()] == pytest.approx([0.6, 0.5])
    assert all(each.n == 6 and each.low < each.value < each.high for each in row.groups["length"].values())
    unlike = [replace(each, tags={"length": each.number}) for each in records]
    assert rows_of(plan, config, unlike)[0].groups == {}  # every item by itself


def test_scores_are_normalised_as_the_file_says():
    def section(**keys):
        return RlSection(model="m", policies={"full": {"policy": "full"}}, **keys)

    measured = normaliser_of(section(score="measured", references=[10.0, 20.0]), "Hopper-v5")
    assert measured(np.array([15.0])) == pytest.approx([50.0])
    low, high = D4RL["hopper"]
    assert normaliser_of(section(), "Hopper-v5")(np.array([low, high])) == pytest.approx([0.0, 100.0])
    assert normaliser_of(section(), "namm_xmodal/TMaze-v0") is None
    assert normaliser_of(section(score="return"), "Hopper-v5") is None
