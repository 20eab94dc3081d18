"""`prepare rl --dataset`: models from a D4RL file or a Minari dataset; data that do not fit are one line."""

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from namm_xmodal.agents.checkpoint import load_checkpoint
from namm_xmodal.cli.app import app
from namm_xmodal.envs.minari_data import write_minari
from namm_xmodal.envs.trajectories import Trajectories, Trajectory


def write(path, steps=60, size=11, seed=0, timeouts=True, reward=100.0):
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        file["observations"] = rng.normal(size=(steps, size))
        file["actions"] = rng.uniform(-1, 1, (steps, 3))
        file["rewards"] = np.full(steps, reward)
        file["terminals"] = np.isin(np.arange(steps), [19])
        if timeouts:
            file["timeouts"] = np.isin(np.arange(steps), [39])
    return path


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))

    def run(*arguments, code=0):
        command = [
            "prepare",
            "rl",
            "--window",
            20,
            "--seeds",
            1,
            "--updates",
            2,
            "--output",
            tmp_path / "out",
            *arguments,
        ]
        result = CliRunner().invoke(app, list(map(str, command)), env={"COLUMNS": "120", "NO_COLOR": "1"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return run


def test_a_d4rl_file_becomes_models_once(prepare, tmp_path):
    file = write(tmp_path / "hopper_medium-v2.hdf5")
    prepare("--env", "hopper", "--dataset", file)
    folder = tmp_path / "out/hopper-short-hopper_medium-v2"
    metadata = load_checkpoint("x", str(folder / "seed-0")).metadata
    assert (metadata.environment, metadata.target, metadata.returns) == ("Hopper-v4", 2000.0, (2000.0, 2000.0))
    assert (
        "hopper_medium-v2 | 3 | 60 | 2000 ± 0 | the target is the 90th percentile" in (folder / "README.md").read_text()
    )
    weights = folder / "seed-0/model.safetensors"
    before = weights.stat().st_mtime_ns
    prepare("--env", "hopper", "--dataset", file)
    assert weights.stat().st_mtime_ns == before
    write(file, seed=1)
    line = prepare("--env", "hopper", "--dataset", file, code=2).stderr.strip()
    assert (
        "holds models trained on other data named hopper_medium-v2; choose another --output" in line
        and "\n" not in line
    )


@pytest.mark.parametrize(("reward", "target"), [(0.43, 8.6), (-2.2, -44.0), (21.0, 420.0), (161.2, 3200.0), (0.0, 0.0)])
def test_the_target_of_weak_data_is_not_rounded_to_nothing(prepare, tmp_path, reward, target):
    prepare("--env", "hopper", "--dataset", write(tmp_path / "weak.hdf5", reward=reward))  # episodes of 20 steps
    assert load_checkpoint("x", str(tmp_path / "out/hopper-short-weak/seed-0")).metadata.target == pytest.approx(target)


@pytest.mark.filterwarnings("ignore")
def test_a_minari_dataset_becomes_models_of_its_own_version(prepare, tmp_path):
    steps = np.zeros((25, 11), np.float32), np.zeros((25, 3), np.float32), np.full(25, 10.0, np.float32)
    data = Trajectories((Trajectory(*steps, True),) * 2, "Hopper-v5", "mine")
    write_minari("local/hopper-v0", data, description="-", reference=(0.0, 500.0))
    prepare("--env", "hopper", "--dataset", "local/hopper")
    folder = tmp_path / "out/hopper-short-local-hopper-v0"
    assert load_checkpoint("x", str(folder / "seed-0")).metadata.environment == "Hopper-v5"
    assert '"dataset_mean": 50.0' in (folder / "card.json").read_text()
    line = prepare("--env", "walker2d", "--dataset", "local/hopper", code=2).stderr.strip()
    assert "has data of Hopper-v5, expected walker2d; check --env" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--env", "halfcheetah", "--dataset", "x.hdf5"],
            "states of 11 and actions of 3 numbers, HalfCheetah-v4 has 17 and 6",
        ),
        (["--env", "tmaze", "--dataset", "x.hdf5"], "--env tmaze: expected one of hopper, halfcheetah, walker2d"),
        (["--dataset", "x.hdf5"], "--dataset: expected exactly one --env"),
        (["--env", "hopper", "--dataset", "absent.hdf5"], "absent.hdf5: no such file"),
        (["--env", "hopper", "--dataset", "no/such/set"], "not on this machine"),
        (["--env", "hopper", "--dataset", "old.hdf5"], "lacks timeouts"),
    ],
)
def test_data_that_do_not_fit_are_one_line(prepare, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.hdf5")
    write(tmp_path / "old.hdf5", timeouts=False)
    line = prepare(*arguments, code=2).stderr.strip()
    assert message in line and "\n" not in line


def test_a_file_without_timeouts_is_split_on_terminals_if_one_says_so(prepare, tmp_path):
    prepare("--env", "hopper", "--dataset", write(tmp_path / "old.hdf5", timeouts=False), "--no-timeouts")
    card = (tmp_path / "out/hopper-short-old/card.json").read_text()
    assert '"episodes": 2' in card
