"""A video evaluation killed before any of its file operations: no answer is lost, no report is stale."""

import time

from killing import command, killed_at_every_operation

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.report import figure
from namm_xmodal.report.page import render

QUICK = ("loader.workers=0", "frames=4", "options={n: 1, frames: 4}", "limit=2", "policies={h2o: null}")
QUICK = (*QUICK, "reductions={fewer_frames: null, divprune: null}", "dtype=float32")


def test_at_every_file_operation(monkeypatch, tmp_path, model_folder):
    def write(drawn, folder):
        for path in (folder / f"{drawn.name}{suffix}" for suffix in figure.SUFFIXES):
            replace_text(path, drawn.alt)

    monkeypatch.setattr(time, "process_time", lambda: 0.0)  # the table shows times
    monkeypatch.setattr(figure.Figure, "write", write)  # drawing takes most of a run's time
    monkeypatch.setattr(figure.Figure, "inline", lambda drawn: drawn.alt)
    monkeypatch.setattr(render, "draw_maps", lambda *given: None)
    line = ("video-qa", "video/smoke", *(part for each in QUICK for part in ("--set", f"video.{each}")))
    line = (*line, "--set", f"video.model={model_folder}", "--set", "bootstrap.resamples=100")
    count = killed_at_every_operation(tmp_path / "out", go := lambda folder: command(*line, "--output", folder), go)
    assert count > 30
