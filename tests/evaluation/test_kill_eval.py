"""An evaluation killed before any of its file operations: no result is lost or made twice, no report is stale."""

import time

from killing import command, killed_at_every_operation

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.report import write

FEW = ("tasks.key_retrieval=null", "tasks.next_token={task: next_token, n: 2, length: [256]}", "budgets=[0.5]")
FEW = (*FEW, "policies={h2o: null, snapkv: null}", "scoring=likelihood")
FEW = (*(f"language.{each}" for each in FEW), "bootstrap.resamples=100")


def test_at_every_file_operation(monkeypatch, tmp_path):
    def draw(folder, summary, *rest):
        replace_text(folder / "index.html", f"{len(summary.rows)}\n")

    monkeypatch.setattr(time, "process_time", lambda: 0.0)  # the table shows times
    monkeypatch.setattr(write, "write_page", draw)
    line = ("eval", "language/smoke", *(part for each in FEW for part in ("--set", each)))
    count = killed_at_every_operation(tmp_path / "out", go := lambda folder: command(*line, "--output", folder), go)
    assert count > 30
