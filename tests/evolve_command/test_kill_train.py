"""A training killed before any of its file operations ends as one that was left alone."""

import pytest
from killing import command, killed_at_every_operation

from namm_xmodal import Namm
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.policies.namm import make_features
from namm_xmodal.report import warm_start as picture


@pytest.fixture
def start(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    features = make_features([{"channel": "mean_attention"}, "key_novelty"])
    Namm.untrained("random", sigma=0.1, seed=1, features=features).save_pretrained(tmp_path / "policy")
    monkeypatch.setattr(picture, "plot_warm_start", lambda steps, path, title: replace_text(path, f"{len(steps)}\n"))
    options = (
        "features=[mean_attention, key_novelty]",
        f"statistics.path={tmp_path / 'policy'}",
        "traces.rl@tmaze=null",
        "traces.language.count=1",
        "ranking.steps=3",
        "gradient.steps=1",
        "generations=0",
    )
    return ("train", "train/smoke", *(part for each in options for part in ("--set", each)))


def test_at_every_file_operation(start, tmp_path):
    folder = tmp_path / "run"
    count = killed_at_every_operation(folder, go := lambda folder: command(*start, "--run", folder), go)
    assert count > 30
