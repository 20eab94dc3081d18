"""The shipped models answer as their cards say; the shortest of the promises is checked anew."""

import json
from pathlib import Path

import pytest

import namm_xmodal.video.models as models
from namm_xmodal.training.llava_small.quick_score import accuracies, overall
from namm_xmodal.video.models import SHIPPED, load_video_model

FOLDER = Path(models.__file__).parent / "shipped" / "llava-small"
NEEDLE = {"llava-small": 0.95, "llava-small-seed1": 0.7}
"""Seed 1 misses the target of 95% at 32 frames, as its card says."""


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_keeps_what_its_card_promises(name):
    folder = FOLDER / SHIPPED[name]
    measured = json.loads((folder / "measured.json").read_text())["by_frames"]
    assert measured["8"]["overall"] >= 0.85
    right, asked = measured["32"]["right_and_asked_by_kind"]["needle"]
    assert right / asked >= NEEDLE[name]
    low, high = measured["8"]["interval_95"]
    assert 0.85 <= low <= measured["8"]["overall"] <= high
    assert ("**Misses**" in (folder / "README.md").read_text()) == (right / asked < 0.95)
    loaded = load_video_model(name)
    assert loaded.dtype == "float32"
    counts = accuracies(loaded.model, loaded.tokenizer, 12, 8)
    assert overall(counts) >= 0.8  # the first 12 of the 200 videos of the card
    assert (folder / "model.safetensors").stat().st_size < 2_100_000  # float16
    assert f"| 8 | {measured['8']['overall']:.3f} [{low:.3f}, {high:.3f}]" in (folder / "README.md").read_text()
