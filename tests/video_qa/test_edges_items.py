"""`video-qa` on a benchmark with bad items: each is one line and a counted, skipped item, whatever is wrong with it."""

import json

import benchmark_folders as folders
import pytest

QUICK = ("loader.workers=0", "frames=8", "budgets=[0.5]", "bootstrap.resamples=100", "dtype=float32", "generate=false")
ONLY_FULL = "policies={recency: null, random: null, keydiff: null, h2o: null, snapkv: null}"
NO_RIVALS = "reductions={fewer_frames: null, uniform_drop: null, divprune: null}"


@pytest.fixture
def data(tmp_path):
    """One question that is fine, and one for each thing that may be wrong with an item."""
    folder = tmp_path / "data"
    folder.mkdir()
    folders.longvideobench(folder)
    path = folder / "lvb_val.json"
    first, *_ = json.loads(path.read_text())
    bad = {
        "frames": {"question": "What is in <video> here?"},
        "key": {"correct_choice": "Z"},
        "options": {"candidates": []},
        "missing": {"video_path": "absent.mp4"},
        "outside": {"video_path": "../data/videos/v0.mp4"},
        "twice": {"id": "fine"},
    }
    items = [{**first, "id": "fine"}, *({**first, "id": name, **change} for name, change in bad.items())]
    path.write_text(json.dumps(items))
    return folder


def test_bad_items_are_counted_and_named_and_the_others_answered(run, tmp_path, model_folder, data):
    options = [part for each in (*QUICK, ONLY_FULL, NO_RIVALS) for part in ("--set", each)]
    options += ["--set", f"data={data}", "--set", f"model={model_folder}"]
    shown = run("video-qa", "video/longvideobench", *options, "--output", tmp_path / "out")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    (row,) = summary["rows"]
    assert (row["answered"], row["skipped"], row["accuracy"]["n"]) == (1, 6, 1)
    reasons = summary["skipped"]
    assert set(reasons) == {"frames", "key", "options", "missing", "outside", "lvb_val.json, question 6"}
    for name, part in (
        ("frames", "frames: its text holds <video>"),
        ("key", "lvb_val.json, question 2: answer 'Z': is none of its 4 options; expected 0 to 3"),
        ("options", "0 options: expected 2 to 26"),
        ("missing", "no such file"),
        ("outside", "expected one inside the benchmark's folder"),
        ("lvb_val.json, question 6", "has the id 'fine' of lvb_val.json, question 0"),
    ):
        assert part in reasons[name] and "\n" not in reasons[name]
    assert shown.stderr.count("skipped: ") == 6
    again = run("video-qa", "video/longvideobench", *options, "--output", tmp_path / "out")
    assert again.stderr.count("skipped: ") == 0  # finished: nothing is asked again
    run("video-qa", "video/longvideobench", *options, "--strict", "--output", tmp_path / "strict")
    (row,) = json.loads((tmp_path / "strict/summary.json").read_text())["rows"]
    assert (row["answered"], row["skipped"], row["accuracy"]["n"]) == (1, 6, 7)
