"""An evaluation killed before any of its file operations: no result is lost or made twice, no report is stale."""

from killing import command, killed_at_every_operation

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.report import write

FEW = ("tasks.key_retrieval=null", "tasks.next_token={task: next_token, n: 2, length: [256]}", "budgets=[0.5]")
FEW = (*FEW, "policies={h2o: null, snapkv: null}", "bootstrap.resamples=100", "scoring=likelihood")


def test_at_every_file_operation(monkeypatch, tmp_path):
    def draw(summary, path, *rest):
        for suffix in (".png", ".svg"):
            replace_text(path.with_suffix(suffix), f"{len(summary.cells)}\n")

    monkeypatch.setattr(write, "plot_scores", draw)
    line = ("eval", "language/smoke", *(part for each in FEW for part in ("--set", each)))
    count = killed_at_every_operation(tmp_path / "out", go := lambda folder: command(*line, "--output", folder), go)
    assert count > 30
