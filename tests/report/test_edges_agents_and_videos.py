"""Summaries and folders of rollouts and video evaluations, from made-up records with known means."""

import json

import numpy as np
import pytest

from namm_xmodal.config import BootstrapConfig, RolloutConfig
from namm_xmodal.config.video_qa import VideoQAConfig
from namm_xmodal.envs.normalise import D4RL
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.record import Record
from namm_xmodal.gradient.run import StepRecord
from namm_xmodal.report.rollout_summary import normaliser_of, summarise_rollouts
from namm_xmodal.report.rollout_write import write_rollout_report
from namm_xmodal.report.video_summary import summarise_videos
from namm_xmodal.report.video_write import write_video_report
from namm_xmodal.report.warm_start import plot_warm_start
from namm_xmodal.rollouts.record import RolloutRecord

MADE = {"started": "2026-01-01T00:00:00+00:00", "config": "abc", "versions": {"torch": "2"}}


# ------------------------------------------------------------------ agents
def episode(policy="full", seed=0, total=1.0, model="m/seed-0", budget=None, stop="terminated", survivors=None):
    return RolloutRecord(
        policy=policy,
        budget=budget,
        size="all" if budget is None else f"{budget} tokens",
        statistics=None,
        model=model,
        fingerprint=f"{policy}@{model}",
        target=3.0,
        cpu_seconds=0.5,
        episode={
            "environment": "Hopper-v5",
            "seed": seed,
            "total": total,
            "length": 10 + seed,
            "kept_mean": 5.0,
            "kept_end": 6.0,
            "tokens_seen": 30,
            "stop": stop,
            "survivors": survivors,
        },
        **MADE,
    )


def rollout(tmp_path, **more):
    policies = {"full": {"policy": "full"}, "h2o": {"policy": "h2o"}}
    return RolloutConfig.model_validate({"model": "m", "policies": policies, "output": str(tmp_path), **more})


def test_rows_of_agents(tmp_path):
    """Interquartile means over both models; those of each beside them; a failed episode counts and is counted."""
    records = [episode(seed=i, total=float(i), model=f"m/seed-{i % 2}") for i in range(8)]
    records += [episode("h2o", i, 2.0, budget=24, stop="failed" if i == 3 else "truncated") for i in range(4)]
    full, h2o = summarise_rollouts(records, rollout(tmp_path, score="return"))
    assert (full.returns.value, full.returns.n, full.scores) == (np.mean([2, 3, 4, 5]), 8, None)
    assert full.returns.by_model == {"m/seed-0": 3.0, "m/seed-1": 4.0}
    assert (full.length, full.fraction, full.failed) == (13.5, 0.2, 0)
    assert (h2o.policy, h2o.size, h2o.returns.value, h2o.failed) == ("h2o", "24 tokens", 2.0, 1)
    assert h2o.returns.low == h2o.returns.high == 2.0


def test_survivors_are_shares_of_what_was_fed(tmp_path):
    looks = [{"kept": [[[2, 0]]], "fed": [[4, 0]]}, {"kept": [[[1, 0]]], "fed": [[4, 0]]}]
    (row,) = summarise_rollouts([episode(seed=i, survivors=looks[i]) for i in range(2)], rollout(tmp_path))
    assert row.survivors == [[[0.375, None]]]


def test_scores_are_normalised_as_the_file_says(tmp_path):
    measured = normaliser_of(rollout(tmp_path, score="measured", references=[10.0, 20.0]), "Hopper-v5")
    assert measured(np.array([15.0])) == pytest.approx([50.0])
    low, high = D4RL["hopper"]
    assert normaliser_of(rollout(tmp_path), "Hopper-v5")(np.array([low, high])) == pytest.approx([0.0, 100.0])
    assert normaliser_of(rollout(tmp_path), "namm_xmodal/TMaze-v0") is None
    assert normaliser_of(rollout(tmp_path, score="return"), "Hopper-v5") is None


def test_the_folder_of_agents(tmp_path):
    records = [episode(seed=i, total=1000.0 * i) for i in range(3)]
    records += [episode("h2o", i, 500.0, budget=24) for i in range(3)]
    tables = write_rollout_report(records, rollout(tmp_path / "out"), 80)
    assert len(tables) >= 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "summary.json", "table.txt", "scores.png", "scores.svg"
    }  # fmt: skip
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["normaliser"]["name"] == "d4rl"
    assert [row["returns"]["value"] for row in summary["rows"]] == [1000.0, 500.0]
    text = (tmp_path / "out" / "table.txt").read_text()
    assert "m (1 model) in Hopper-v5, target 3" in text and "over the episodes of 1 model" in text
    with pytest.raises(ResultsError, match="no results yet"):
        write_rollout_report([], rollout(tmp_path))


# ------------------------------------------------------------------ videos
def answer(policy="full", sample=0, right=1.0, protocol="none", kind="count", status="answered", **tags):
    scores = {} if status == "skipped" else {"accuracy": right}
    if "parsed" in tags:
        scores["generated_accuracy"] = float(tags["parsed"] == "A")
    known = {
        "id": f"q{sample}", "status": status, "kind": kind, "duration": "short", "notes": [], "sampler": "linspace",
        "rope_factor": 1.0, "vision_seconds": 0.1, "prefill_seconds": 0.2, "decode_seconds": 0.3, "reason": "no file",
        "chosen": None if status == "skipped" else int(right),
    }  # fmt: skip
    return Record(
        task="generated", sample=sample, policy=policy, budget=None if protocol == "none" else 0.5, protocol=protocol,
        scores=scores, kept_fraction=0.5, live_bytes=1024, allocated_bytes=1024, full_bytes=2048, prompt_tokens=10,
        fingerprint=policy, tags={**known, **tags}, cpu_seconds=0.1, seed=0, model={"name": "m"}, **MADE,
    )  # fmt: skip


def test_rows_of_videos():
    """Skipped questions are left out and counted; differences are to the full cache's on the same questions."""
    records = [answer(sample=i, right=float(i != 1), kind="count" if i < 2 else "first") for i in range(4)]
    records.append(answer(sample=4, status="skipped"))
    records += [answer("h2o", i, float(i == 0), "clock", parsed="A" if i else None) for i in range(3)]
    full, h2o = summarise_videos(records, BootstrapConfig(resamples=100))
    assert (full.accuracy.mean, full.accuracy.n, full.answered, full.skipped) == (0.75, 4, 4, 1)
    assert full.macro.mean == 0.75 and full.difference is None
    assert full.apart["kind"] == {"count": (0.5, 2), "first": (1.0, 2)}
    assert h2o.accuracy.mean == pytest.approx(1 / 3)
    assert (h2o.difference.mean, h2o.difference.n) == (pytest.approx(1 / 3 - 2 / 3), 3)
    assert (h2o.generated, h2o.generated_answered, h2o.unparsed) == (pytest.approx(2 / 3), 1.0, 1)
    assert (full.size, h2o.size) == ("all", "50%")


def test_macro_is_the_mean_of_kinds_however_many_questions_each_has():
    records = [answer(sample=i, right=1.0, kind="many") for i in range(9)] + [answer(sample=9, right=0.0, kind="one")]
    (row,) = summarise_videos(records, BootstrapConfig(resamples=100))
    assert (row.accuracy.mean, row.macro.mean) == (0.9, 0.5)


def test_the_folder_of_videos(tmp_path):
    config = VideoQAConfig.model_validate({"policies": {"full": {"policy": "full"}}, "output": str(tmp_path / "out")})
    (tmp_path / "out").mkdir()
    records = [answer(sample=i, right=float(i % 2)) for i in range(4)] + [answer(sample=4, status="skipped")]
    write_video_report(records, config, 80)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "summary.json", "table.txt", "predictions.json", "accuracy.png", "accuracy.svg"
    }  # fmt: skip
    predicted = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert predicted == {"full all": {"q0": "A", "q1": "B", "q2": "A", "q3": "B", "q4": None}}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["skipped"] == {"q4": "no file"}
    assert summary["rows"][0]["accuracy"]["mean"] == 0.5
    with pytest.raises(ResultsError, match="no results yet"):
        write_video_report([], config)


# ------------------------------------------------------------------ warm start
def test_a_warm_start_is_drawn(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *rest, **more: figures.append(figure) or save(figure, *rest, **more)
    )
    fields = {name: 0.0 for name in StepRecord.__dataclass_fields__}
    steps = [
        StepRecord(**{**fields, "step": i, "loss": {"keys": 2.0 / i}, "kept": 0.6, "budget": 0.5}) for i in range(1, 5)
    ]
    assert plot_warm_start(steps, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    left, right = figures[0].axes
    assert list(left.lines[0].get_ydata()) == [2.0, 1.0, 2 / 3, 0.5]
    assert [line.get_label() for line in right.lines[1:]] == ["kept", "aimed at"]
