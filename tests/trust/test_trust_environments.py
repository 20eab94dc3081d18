"""Environments and datasets: ids that are registered; metadata that would import something are refused."""

import json
import sys

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from namm_xmodal.agents.checkpoint_metadata import KEY, CheckpointMetadata
from namm_xmodal.cli.app import app
from namm_xmodal.envs.d4rl_hdf5 import read_d4rl
from namm_xmodal.envs.environments import allow_module, environment_maker
from namm_xmodal.envs.minari_data import minari_reference, read_minari, write_minari
from namm_xmodal.envs.trajectories import Trajectories, Trajectory
from namm_xmodal.errors import CheckpointError, ConfigError, DataError

METADATA = CheckpointMetadata(
    environment="Hopper-v5", target=1.0, scale=1.0, window=20, memory="cache", options={"length": 5}
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module beside the user that registers an environment and leaves a trace."""
    name = f"own_envs_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\n"
        "import gymnasium\n"
        "gymnasium.register('Own-v0', entry_point='namm_xmodal.envs.tmaze:TMaze', max_episode_steps=9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    import gymnasium

    gymnasium.registry.pop("Own-v0", None)
    sys.modules.pop(name, None)


def test_an_id_that_names_a_module_is_refused_until_the_user_allows_it(module, tmp_path):
    for options in ({}, {"length": 3}):
        with pytest.raises(ConfigError, match=f"gymnasium would import {module}; .* add --allow-module {module}"):
            environment_maker(f"{module}:Own-v0", **options)
    assert not (tmp_path / "ran").exists()
    allow_module(module)
    for name in (f"{module}:Own-v0", "Own-v0"):
        environment_maker(name, length=3)().close()


def test_an_environment_cannot_be_told_of_another_one(module, tmp_path):
    with pytest.raises(ConfigError, match=f"gymnasium would import {module}"):
        environment_maker("GymV26Environment-v0", env_id=f"{module}:Own-v0")
    assert not (tmp_path / "ran").exists()


def test_a_module_that_fails_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "failing_envs.py").write_text("raise RuntimeError('first\\nsecond')")
    monkeypatch.syspath_prepend(tmp_path)
    for name, said in (("failing_envs", "first"), ("absent_envs", "No module named")):
        with pytest.raises(ConfigError, match=rf"--allow-module {name}: cannot be imported \({said}") as caught:
            allow_module(name)
        assert "\n" not in str(caught.value)


def test_rollout_takes_modules_from_the_command_line_only(module, tmp_path):
    (tmp_path / "a.yaml").write_text(
        f"rl:\n  model: tmaze\n  model_seeds: 0\n  environment: {module}:Own-v0\n  environment_options: {{length: 3}}\n"
        f"  episodes: 1\n  policies: {{all: {{policy: full}}}}\n  score: success\noutput: {tmp_path / 'out'}\n"
    )
    refused = CliRunner().invoke(app, ["rollout", str(tmp_path / "a.yaml")])
    assert refused.exit_code == 2
    assert f"gymnasium would import {module}" in refused.stderr
    assert not (tmp_path / "ran").exists()
    done = CliRunner().invoke(app, ["rollout", str(tmp_path / "a.yaml"), "--allow-module", module])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("environment", 3),
        ("target", "3600"),
        ("target", float("inf")),
        ("scale", 0),
        ("scale", True),
        ("window", 10**9),
        ("window", 2.5),
        ("memory", "all"),
        ("mode", None),
        ("options", {"env_id": "os:x"}),
        ("options", {"xml_file": "/etc/passwd"}),
        ("options", {"a": [1]}),
        ("options", []),
        ("state_mean", "12"),
        ("state_mean", [1, "2"]),
        ("state_std", [[1]]),
        ("returns", [1]),
    ],
)
def test_what_a_checkpoint_says_of_itself_is_checked(name, value):
    assert CheckpointMetadata.from_json(json.loads(json.dumps(METADATA.to_json())), "config.json") == METADATA
    with pytest.raises(CheckpointError, match=rf"^config.json: {KEY}.{name}=.*: expected"):
        CheckpointMetadata.from_json({**json.loads(json.dumps(METADATA.to_json())), name: value}, "config.json")


# --------------------------------------------------------------------- Minari
@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    episode = Trajectory(np.ones((5, 3), np.float32), np.ones((5, 2), np.float32), np.ones(5, np.float32), True)
    write_minari(
        "local/a/b-v0", Trajectories((episode, episode), "Hopper-v5", "a test"), description="x", reference=(0.0, 1.0)
    )
    return tmp_path / "minari" / "local" / "a" / "b-v0" / "data"


def refused(said):
    with pytest.raises(DataError, match=said) as caught:
        read_minari("local/a/b-v0")
    assert "\n" not in str(caught.value)


def test_metadata_that_would_call_a_function_are_refused(dataset, tmp_path):
    assert len(read_minari("local/a/b-v0").episodes) == 2
    assert minari_reference("local/a/b-v0") == (0.0, 1.0)
    metadata = json.loads((dataset / "metadata.json").read_text())
    spec = json.loads(metadata["env_spec"])
    spec |= {"entry_point": "os:system", "kwargs": {"command": f"touch {tmp_path / 'ran'}"}}
    for space in ("observation_space", "action_space"):
        changed = {**metadata, "env_spec": json.dumps(spec)}
        del changed[space]
        (dataset / "metadata.json").write_text(json.dumps(changed))
        refused(f"it lacks '{space}'")
        with pytest.raises(DataError):
            minari_reference("local/a/b-v0")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"observation_space": 3}, "its spaces are not text"),
        ({"data_format": "pickle"}, "its format is 'pickle', hdf5 can be read"),
        ({"total_episodes": 10**12}, "it has 1,000,000,000,000 episodes"),
        ({"total_episodes": "two"}, "cannot be read"),
    ],
)
def test_metadata_out_of_range_are_refused(dataset, change, said):
    metadata = json.loads((dataset / "metadata.json").read_text())
    (dataset / "metadata.json").write_text(json.dumps({**metadata, **change}))
    refused(said)


@pytest.mark.parametrize("name", ["../../local/a/b-v0", "/local/a/b-v0"])
def test_names_that_leave_the_folder_are_refused(dataset, name):
    with pytest.raises(DataError, match="expected a name such as mujoco/hopper/medium-v0"):
        read_minari(name)


def test_arrays_of_a_dataset_lie_in_its_file_and_are_no_larger_than_it(dataset, tmp_path):
    with h5py.File(tmp_path / "other.hdf5", "w") as file:
        file["x"] = np.zeros((6, 3), np.float32)
    for make, said in (
        (lambda file, name: file.__setitem__(name, h5py.ExternalLink(str(tmp_path / "other.hdf5"), "x")), "is a link"),
        (lambda file, name: file.__setitem__(name, h5py.SoftLink("/episode_0/observations")), "is a link"),
        (
            lambda file, name: file.create_dataset(name, (10**9, 3), "f4", chunks=(9, 3)),
            "larger than a file of this size",
        ),
        (lambda file, name: file.create_dataset(name, (6,), h5py.vlen_dtype("u1")), "is of object"),
    ):
        with h5py.File(dataset / "main_data.hdf5", "a") as file:
            del file["episode_1/observations"]
            make(file, "episode_1/observations")
        refused(said)


# --------------------------------------------------------------------- D4RL
def test_damaged_d4rl_files_are_one_line(tmp_path):
    rows = {"observations": np.ones((30, 3)), "actions": np.ones((30, 2)), "rewards": np.ones(30)}
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name, values in {**rows, "terminals": np.zeros(30, bool), "timeouts": np.arange(30) % 10 == 9}.items():
            file.create_dataset(name, data=values, compression="gzip")
    assert len(read_d4rl(tmp_path / "a.hdf5").episodes) == 3
    whole = (tmp_path / "a.hdf5").read_bytes()
    rng = np.random.default_rng(0)
    said = []
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 9)):
            damaged[at] = rng.integers(256)
        (tmp_path / "b.hdf5").write_bytes(damaged)
        try:
            read_d4rl(tmp_path / "b.hdf5")
        except DataError as error:
            said.append(str(error))
    assert len(said) > 50
    assert "\n" not in "".join(said)
