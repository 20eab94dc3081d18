"""`inspect` of a video: what it draws is what the caches hold."""

import json

import av
import numpy as np
from video_files import write_video

from namm_xmodal.modalities.video.dimming import dim


def test_a_video_file_is_drawn_with_likelihoods(run, tmp_path, model_folder):
    path = write_video(tmp_path / "a.mp4", frames=24)
    out = tmp_path / "seen.png"
    arguments = ["inspect", path, "--question", "what colour comes first?", "--option", "red", "--option", "blue"]
    arguments += ["--model", model_folder, "--frames", 8, "--budget", 0.25, "--policy", "full", "--policy", "recency"]
    shown = run(*arguments, "--output", out).stdout
    found = json.loads(out.with_suffix(".json").read_text())
    full, recency = found["policies"]
    assert (full["kept"], found["frames"]) == (1.0, 8)
    assert sum(full["probabilities"].values()) == 1.0 or abs(sum(full["probabilities"].values()) - 1) < 1e-3
    kept = np.array(recency["kept_by_layer_frame_row_column"])
    assert kept.shape == (4, 8, 3, 3)
    assert kept[:, -1].min() == 1  # the newest frame is whole, the oldest gone
    assert kept[:, 0].max() == 0
    assert "recency: keeps 2" in shown
    assert out.stat().st_size > 10_000
    with av.open(str(out.with_suffix(".mp4"))) as container:
        assert container.streams.video[0].frames == 8


def test_a_generated_clip_brings_its_question_and_a_layer_can_be_chosen(run, tmp_path, model_folder):
    out = tmp_path / "seen.svg"
    run("inspect", "generated:4", "--model", model_folder, "--policy", "keydiff", "--layer", 2, "--output", out)
    found = json.loads(out.with_suffix(".json").read_text())
    assert found["question"].endswith("?")
    assert len(found["policies"][0]["probabilities"]) in (4, 6)
    line = run("inspect", "generated:4", "--model", model_folder, "--layer", 9, "--output", out, code=2).stderr
    assert "--layer 9: expected a layer from 0 to 3" in line


def test_without_options_the_models_own_answer_is_compared(run, tmp_path, model_folder):
    path = write_video(tmp_path / "a.mp4", frames=8)
    arguments = ["inspect", path, "--question", "what is shown?", "--model", model_folder, "--policy", "full"]
    run(*arguments, "--frames", 8, "--output", tmp_path / "seen.png")
    (probability,) = json.loads((tmp_path / "seen.json").read_text())["policies"][0]["probabilities"].values()
    assert 0 < probability < 1


def test_mistakes_are_one_line(run, tmp_path):
    for arguments, message in (
        (["inspect"], "expected either a video"),
        (["inspect", "a.mp4", "--text", "b.txt"], "expected either a video"),
        (["inspect", "a.mp4"], "--question: missing"),
        (["inspect", "absent.mp4", "--question", "?"], "absent.mp4: no such file"),
        (["inspect", "generated:x"], "generated:x: expected generated: and a number"),
        (["inspect", "a.mp4", "--question", "?", "--budget", "2"], "expected a share of the visual tokens"),
    ):
        line = run(*arguments, "--output", tmp_path / "a.png", code=2).stderr.strip()
        assert line.startswith("namm-xmodal: ")
        assert message in line


def test_dimming_follows_the_share_of_heads():
    frame = np.full((6, 6, 3), (200, 100, 0), np.uint8)
    kept = np.array([[1.0, 0.5], [0.0, 1.0]])
    dimmed = dim(frame, kept)
    assert (dimmed[:3, :3] == frame[0, 0]).all()
    assert dimmed[5, 0].tolist() == [30, 30, 30]  # 0.18 of the mean brightness, and 12
    assert dimmed[0, 5].tolist() == [115, 65, 15]
