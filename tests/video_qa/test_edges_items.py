"""`video-qa` on a benchmark with bad items: each is one line and a counted, skipped item, whatever is wrong with it."""

import json

import benchmark_folders as folders
import pytest

QUICK = (
    *("video.loader.workers=0", "video.frames=8", "video.budgets=[0.5]", "video.dtype=float32", "video.generate=false"),
    "video.policies={recency: null, random: null, keydiff: null, h2o: null, snapkv: null}",
    "video.reductions={fewer_frames: null, uniform_drop: null, divprune: null}",
    "bootstrap.resamples=100",
)
"""Only the full cache."""


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
    changes = (*QUICK, f"video.data={data}", f"video.model={model_folder}")
    options = [part for each in changes for part in ("--set", each)]
    shown = run("video-qa", "video/longvideobench", *options, "--output", tmp_path / "out")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    (row,) = summary["rows"]
    assert (row["n"], row["skipped"], row["cells"][0]["score"]["n"]) == (1, 6, 1)
    reasons = summary["messages"]["video"]
    assert set(reasons) == {f"longvideobench/{number}" for number in range(1, 7)}
    for number, part in enumerate(
        (
            "frames: its text holds <video>",
            "lvb_val.json, question 2: answer 'Z' is not among its 4 options: expected 0 to 3, a letter of A to D",
            "has no options: expected 2 to 26",
            "no such file",
            "expected one inside the benchmark's folder",
            "has the id 'fine' of lvb_val.json, question 0",
        ),
        start=1,
    ):
        assert part in reasons[f"longvideobench/{number}"] and "\n" not in reasons[f"longvideobench/{number}"]
    assert shown.stderr.count(": skipped: ") == 6
    again = run("video-qa", "video/longvideobench", *options, "--output", tmp_path / "out")
    assert again.stderr.count(": skipped: ") == 0  # finished: nothing is asked again
    run("video-qa", "video/longvideobench", *options, "--strict", "--output", tmp_path / "strict")
    (row,) = json.loads((tmp_path / "strict/summary.json").read_text())["rows"]
    assert (row["n"], row["skipped"], row["cells"][0]["score"]["n"]) == (1, 6, 7)
