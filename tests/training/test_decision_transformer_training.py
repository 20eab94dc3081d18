"""Training: windows, schedule, a loss that falls, and `prepare rl` from nothing, which does nothing twice."""

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from namm_xmodal.agents.checkpoint import load_checkpoint
from namm_xmodal.cli.app import app
from namm_xmodal.envs.behaviour.policy import BehaviourPolicy, write_npz
from namm_xmodal.envs.minari_data import read_minari
from namm_xmodal.envs.trajectories import Trajectory
from namm_xmodal.errors import ResultsError
from namm_xmodal.training.decision_transformer.journal import StageJournal
from namm_xmodal.training.decision_transformer.learn import Schedule, learn, new_model
from namm_xmodal.training.decision_transformer.mazes import demonstrations
from namm_xmodal.training.decision_transformer.windows import Windows


def episode(length, offset=0.0):
    steps = np.arange(length, dtype=np.float32)
    states = np.stack([steps + offset, -steps], 1)
    return Trajectory(states, np.tanh(steps / 9)[:, None], np.ones(length, dtype=np.float32), False)


def windows(**more):
    statistics = np.array([1.0, 0.0]), np.array([2.0, 1.0])
    return Windows([episode(6), episode(30, 100.0)], statistics, steps=8, scale=10.0, max_ep_len=25, **more)


def test_windows_hold_what_the_episodes_do():
    batch = windows(last_weight=5.0).draw(np.random.default_rng(0), 200)
    states, returns, times = (batch.inputs[name] for name in ("states", "returns_to_go", "timesteps"))
    real = batch.weights > 0
    step = -states[..., 1]
    offset = torch.where(states[:, :1, 0] > 20, 100.0, 0.0)
    assert torch.allclose((states[..., 0] * 2 + 1)[real], (step + offset)[real])
    length = torch.where(offset > 0, 30.0, 6.0)
    assert torch.allclose(returns[..., 0][real], ((length - step) / 10)[real])
    assert torch.equal(times[real], step.clamp(max=24)[real].long())
    last = real & (step == length - 1)
    assert (batch.weights[last] == 5.0).all() and (batch.weights[real & ~last] == 1.0).all()
    assert not batch.inputs["states"][~real].any()
    assert real[:, 0].all() and (real.long().diff(dim=1) <= 0).all()  # padding on the right only


def test_windows_can_all_begin_with_their_episode():
    batch = windows(from_start=1.0, by_length=False).draw(np.random.default_rng(0), 100)
    assert (batch.inputs["timesteps"][:, 0] == 0).all()
    assert 30 < (batch.inputs["states"][:, 0, 0] < 20).sum() < 70


def test_the_beginning_of_a_window_may_weigh_more_than_the_rest(monkeypatch):
    monkeypatch.setattr("namm_xmodal.training.decision_transformer.windows.FIRST", 3)
    batch = windows(first_weight=4.0).draw(np.random.default_rng(0), 50)
    real = batch.weights > 0
    assert real[:, 0].all() and (batch.weights[:, :3][real[:, :3]] >= 1.0).all()
    last = -batch.inputs["states"][..., 1] == torch.where(batch.inputs["states"][:, :1, 0] > 20, 29.0, 5.0)
    assert (batch.weights[:, :3][(real & ~last)[:, :3]] == 4.0).all()
    assert (batch.weights[:, 3:][real[:, 3:]] == 1.0).all()


def test_the_rate_warms_up_and_falls():
    schedule = Schedule(updates=100, batch=1, warm_up=10)
    factors = [schedule.factor(update) for update in range(100)]
    assert factors[0] == 0.1 and max(factors) == factors[10] == 1.0
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert 0.1 <= factors[-1] < 0.11


def test_a_decision_transformer_learns_and_the_same_seed_learns_the_same():
    data = windows()
    losses = []
    for _ in range(2):
        model = new_model(2, 1, 0, hidden_size=16, n_layer=1, n_head=1, max_ep_len=25)
        seen = []
        learn(
            model,
            lambda rng, count, update: data.draw(rng, count),
            Schedule(updates=60, batch=8, rate=3e-3, warm_up=5),
            3,
            lambda update, loss, seen=seen: seen.append(loss),
        )
        assert not model.training
        losses.append(seen)
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-10:]) < 0.3 * np.mean(losses[0][:10])


def test_demonstrations_are_right():
    made = demonstrations(np.random.default_rng(0), 12, 20)
    assert {each.total for each in made} == {1.0}
    assert {len(each) for each in made} <= set(range(5, 14))
    for each in made:
        assert each.actions[-1, 1] == each.observations[0, 0]


def test_a_journal_forgets_a_torn_stage_only(tmp_path):
    journal = StageJournal(tmp_path / "journal.jsonl")
    journal.add("a", {"loss": 1.0})
    journal.add("b", {})
    with journal.path.open("a") as file:
        file.write('{"stage": "c", "res')
    again = StageJournal(journal.path)
    assert (again.result("a"), again.result("b"), again.result("c")) == ({"loss": 1.0}, {}, None)
    again.add("c", {})
    assert StageJournal(journal.path).result("c") == {}
    journal.path.write_text("[]\n")
    with pytest.raises(ResultsError, match="line 1 is not a finished stage"):
        StageJournal(journal.path)


def prepare(*arguments, code=0):
    result = CliRunner().invoke(app, ["prepare", "rl", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_prepare_makes_minari_tiers_and_models_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    rng = np.random.default_rng(0)
    for name, size in (("weak", 0.1), ("strong", 0.0)):
        made = BehaviourPolicy(f"hopper-{name}", (rng.normal(size=(3, 11)) * size,), (np.zeros(3),))
        write_npz(made, tmp_path / "policies" / f"hopper-{name}.npz")
    out = tmp_path / "out"
    command = ["--env", "hopper", "--policies", tmp_path / "policies", "--window", 20, "--seeds", 1]
    command += ["--episodes", 2, "--updates", 2, "--output", out]
    prepare(*command)
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name == "model.safetensors"}
    assert len(written) == 1
    names = sorted(path.name for path in (tmp_path / "minari" / "namm-xmodal" / "hopper").iterdir() if path.is_dir())
    assert [name.rsplit("-", 4)[0] for name in names] == ["expert", "medium", "medium-replay"]
    tier = read_minari(f"namm-xmodal/hopper/{names[0]}")
    assert tier.environment == "Hopper-v5" and len(tier.episodes) == 2
    loaded = load_checkpoint("x", str(out / "hopper-short" / "seed-0"))
    assert loaded.metadata.window == 20
    assert loaded.metadata.target == pytest.approx(np.quantile(tier.returns(), 0.9), abs=50)
    assert "hopper-strong" in (out / "hopper-short" / "README.md").read_text()
    prepare(*command)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    command[1], command[command.index("--window") + 1] = "hopper-positions", 200
    prepare(*command, "--origin", "two random draws")  # on the same tiers
    assert len(list((tmp_path / "minari" / "namm-xmodal" / "hopper").glob("*-v0"))) == 3
    blind = load_checkpoint("x", str(out / "hopper-positions" / "seed-0"))
    assert blind.agent_model.model.config.state_dim == len(blind.metadata.state_mean) == 5
    assert (
        blind.metadata.environment == "namm_xmodal/HopperPositions-v5"
        and blind.metadata.target == loaded.metadata.target
    )
    assert blind.metadata.state_mean == loaded.metadata.state_mean[:5]
    card = (out / "hopper-positions" / "README.md").read_text()
    assert "d4rl score" in card and "come from two random draws" in card


def test_prepare_refuses_in_one_line(tmp_path):
    assert "unknown environment 'hoper': did you mean hopper?" in prepare("--env", "hoper", code=2).stderr
    assert "--window 30: expected 20 or 200" in prepare("--window", 30, "--output", tmp_path, code=2).stderr
    line = prepare("--env", "hopper", "--policies", tmp_path / "no", "--output", tmp_path / "o", code=2).stderr
    assert "no: no such folder; expected one with policies of hopper" in line
