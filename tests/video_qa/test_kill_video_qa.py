"""A video evaluation killed before any of its file operations: no answer is lost, no report is stale."""

import time

from killing import command, killed_at_every_operation

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.report import video_write

QUICK = ("loader.workers=0", "frames=4", "options={n: 1, frames: 4}", "limit=2", "bootstrap.resamples=100")
QUICK = (*QUICK, "policies={h2o: null}", "reductions={fewer_frames: null, divprune: null}")


def test_at_every_file_operation(monkeypatch, tmp_path, model_folder):
    def draw(rows, path, *rest):
        for suffix in (".png", ".svg"):
            replace_text(path.with_suffix(suffix), f"{len(rows)}\n")

    monkeypatch.setattr(time, "process_time", lambda: 0.0)  # the table shows times
    monkeypatch.setattr(video_write, "plot_videos", draw)
    line = ("video-qa", "video/smoke", *(part for each in QUICK for part in ("--set", each)))
    line = (*line, "--set", f"model={model_folder}", "--set", "dtype=float32")
    count = killed_at_every_operation(tmp_path / "out", go := lambda folder: command(*line, "--output", folder), go)
    assert count > 30
