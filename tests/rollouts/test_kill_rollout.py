"""A rollout killed before any of its file operations: every episode is played once, no report is stale."""

from killing import command, killed_at_every_operation
from namm_xmodal.rollouts import runner

from namm_xmodal.config import load_rollout_config
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.report import rollout_write

QUICK = ("model_seeds=0", "environment_options.length=6", "episodes=2", "batch=1", "max_steps=10", "budgets=[9]")
ONLY = "{window: null, random: null, l2_norm: null, tova: null, h2o: null, namm: null, namm_budget: null}"
QUICK = (*QUICK, f"policies={ONLY}", "policies.namm_untrained=null", "bootstrap.resamples=100", "survivors=false")


def test_at_every_file_operation(monkeypatch, tmp_path):
    def draw(rows, path, *rest):
        for suffix in (".png", ".svg"):
            replace_text(path.with_suffix(suffix), f"{len(rows)}\n")

    config = load_rollout_config("rl/tmaze", QUICK)
    players = runner.load_players(config, runner.find_setups(config), print)
    monkeypatch.setattr(runner, "load_players", lambda config, setups, notice: players)  # once, before the forks
    monkeypatch.setattr(rollout_write, "plot_rollouts", draw)
    line = ("rollout", "rl/tmaze", *(part for each in QUICK for part in ("--set", each)))
    count = killed_at_every_operation(tmp_path / "out", go := lambda folder: command(*line, "--output", folder), go)
    assert count > 30
