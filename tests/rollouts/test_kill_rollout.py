"""A rollout killed before any of its file operations: every episode is played once, no report is stale."""

import time

from evaluations import load
from killing import command, killed_at_every_operation

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.modalities.rl import session
from namm_xmodal.report import figure
from namm_xmodal.report.page import render

QUICK = ("model_seeds=0", "environment_options.length=6", "episodes=2", "batch=1", "max_steps=10", "budgets=[9]")
ONLY = "{window: null, random: null, l2_norm: null, tova: null, h2o: null, namm: null, namm_budget: null}"
QUICK = (*QUICK, f"policies={ONLY}", "policies.namm_untrained=null", "survivors=false")
QUICK = (*(f"rl.{each}" for each in QUICK), "bootstrap.resamples=100")


def test_at_every_file_operation(monkeypatch, tmp_path):
    def write(drawn, folder):
        for suffix in figure.SUFFIXES:
            replace_text(folder / f"{drawn.name}{suffix}", f"{drawn.alt}\n")

    monkeypatch.setattr(time, "process_time", lambda: 0.0)  # the table shows times
    section = load("rl/tmaze", tmp_path / "out", *QUICK).sections["rl"]
    loaded_agents = session.load_agents(section, session.find_setups(section))
    monkeypatch.setattr(session, "load_agents", lambda section, setups: loaded_agents)  # once, before the forks
    monkeypatch.setattr(figure.Figure, "write", write)  # drawing takes most of a run's time
    monkeypatch.setattr(figure.Figure, "inline", lambda drawn: drawn.alt)
    monkeypatch.setattr(render, "draw_maps", lambda *given: None)
    line = ("rollout", "rl/tmaze", *(part for each in QUICK for part in ("--set", each)))
    count = killed_at_every_operation(tmp_path / "out", go := lambda folder: command(*line, "--output", folder), go)
    assert count > 30
