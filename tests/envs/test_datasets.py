"""Datasets: D4RL files, Minari, their traps, and what is wrong with bad ones."""

import h5py
import numpy as np
import pytest

from namm_xmodal.envs.d4rl_hdf5 import read_d4rl
from namm_xmodal.envs.minari_data import read_minari, write_minari
from namm_xmodal.envs.normalise import Normaliser, d4rl, of_dataset
from namm_xmodal.envs.published import published_name, published_names, published_statistics
from namm_xmodal.envs.trajectories import Trajectories, Trajectory, joined
from namm_xmodal.errors import ConfigError, DataError, UnknownNameError


def recording(steps=20, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "observations": rng.normal(size=(steps, 11)),
        "actions": rng.uniform(-1, 1, (steps, 3)),
        "rewards": rng.normal(size=steps),
        "terminals": np.isin(np.arange(steps), [6]),
        "timeouts": np.isin(np.arange(steps), [13]),
    }


def write(path, parts):
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            file[name] = values
    return path


def test_d4rl_files_are_split_on_terminals_and_timeouts(tmp_path):
    parts = recording()
    data = read_d4rl(write(tmp_path / "hopper_medium-v2.hdf5", parts), "Hopper-v4")
    assert [(len(each), each.terminated) for each in data.episodes] == [(7, True), (7, False), (6, False)]
    assert data.steps == 20
    assert (data.state_dim, data.act_dim) == (11, 3)
    assert data.returns()[1] == pytest.approx(parts["rewards"][7:14].sum(), rel=1e-6)
    assert np.allclose(data.episodes[2].observations, parts["observations"][14:], atol=1e-6)
    mean, std = data.state_statistics()
    assert np.allclose(mean, parts["observations"].mean(0), atol=1e-6)
    assert np.allclose(std, parts["observations"].std(0) + 1e-6, atol=1e-6)


def test_bad_d4rl_files_are_one_line(tmp_path):
    parts = recording()
    without = write(tmp_path / "without.hdf5", {k: v for k, v in parts.items() if k != "timeouts"})
    with pytest.raises(DataError, match="lacks timeouts"):
        read_d4rl(without)
    assert [len(each) for each in read_d4rl(without, timeouts=False).episodes] == [7, 13]
    whole = write(tmp_path / "whole.hdf5", parts)
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DataError, match="expected a whole HDF5 file"):
        read_d4rl(cut)
    with pytest.raises(DataError, match="no such file"):
        read_d4rl(tmp_path / "absent.hdf5")
    bad = {**parts, "observations": np.where(np.arange(220).reshape(20, 11) == 90, np.nan, parts["observations"])}
    with pytest.raises(DataError, match="episode 1 has NaN or infinity among its observations"):
        read_d4rl(write(tmp_path / "nan.hdf5", bad))
    with pytest.raises(DataError, match="different lengths"):
        read_d4rl(write(tmp_path / "short.hdf5", {**parts, "rewards": parts["rewards"][:9]}))
    with pytest.raises(DataError, match="lacks actions"):
        read_d4rl(write(tmp_path / "less.hdf5", {k: v for k, v in parts.items() if k != "actions"}))


@pytest.fixture
def minari_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))


def trajectories(seed=0):
    rng = np.random.default_rng(seed)
    episodes = tuple(
        Trajectory(
            rng.normal(size=(n, 11)).astype(np.float32),
            rng.uniform(-1, 1, (n, 3)).astype(np.float32),
            rng.normal(size=n).astype(np.float32),
            terminated,
        )
        for n, terminated in ((5, True), (9, False))
    )
    return Trajectories(episodes, "Hopper-v5", "a test")


def test_a_minari_dataset_comes_back_as_it_was(minari_home):
    data = trajectories()
    for version in (0, 2):
        write_minari(f"local/hopper/test-v{version}", data, description="random numbers", reference=(18.0, 3500.0))
    again = read_minari("local/hopper/test")
    assert again.source == "Minari local/hopper/test-v2"
    assert again.environment == "Hopper-v5"
    assert again.reference == (18.0, 3500.0)
    for found, wanted in zip(again.episodes, data.episodes, strict=True):
        assert np.array_equal(found.observations, wanted.observations)
        assert np.array_equal(found.actions, wanted.actions)
        assert np.allclose(found.rewards, wanted.rewards)
        assert found.terminated == wanted.terminated
    assert of_dataset(again)(np.array([18.0, 3500.0])).tolist() == [0.0, 100.0]
    with pytest.raises(DataError, match="cannot be written"):
        write_minari("local/hopper/test-v2", data, description="again")


def test_an_absent_minari_dataset_is_one_line(minari_home):
    with pytest.raises(DataError, match="not on this machine; available: none"):
        read_minari("mujoco/hopper/medium")
    with pytest.raises(DataError, match=r"mujoco/hopper/medium-v0: cannot be read .* on this machine: none"):
        read_minari("mujoco/hopper/medium-v0")


def test_scores_of_d4rl_are_its_own():
    assert d4rl("Hopper-v4")(np.array([-20.272305, 3234.3])).tolist() == [0.0, 100.0]
    assert d4rl("namm_xmodal/HopperPositions-v5".replace("HopperPositions", "hopper")).high == 3234.3
    with pytest.raises(ConfigError, match="no D4RL constants"):
        d4rl("Swimmer-v5")
    with pytest.raises(ConfigError, match="has no reference returns"):
        of_dataset(trajectories())
    with pytest.raises(ConfigError, match="low below high"):
        Normaliser("measured", 5.0, 5.0)


def test_the_nine_published_checkpoints_have_whole_statistics():
    sizes = {"hopper": 11, "halfcheetah": 17, "walker2d": 17}
    assert len(published_names()) == 9
    for name in published_names():
        mean, std = published_statistics(name)
        assert mean.shape == std.shape == (sizes[name.split("-")[0]],)
        assert (std > 0).all()
    assert published_name("edbeeching/decision-transformer-gym-hopper-medium") == "hopper-medium"
    assert published_name("runs/decision-transformer-gym-walker2d-expert/") == "walker2d-expert"
    assert published_name("runs/mine") is None
    with pytest.raises(UnknownNameError, match="hopper-medium"):
        published_statistics("hopper-mediun")


def test_datasets_of_one_environment_join():
    both = joined([trajectories(0), trajectories(1)], "both")
    assert len(both.episodes) == 4
    other = Trajectories(trajectories().episodes, "Walker2d-v5", "other")
    with pytest.raises(DataError, match="different environments"):
        joined([both, other], "x")
    with pytest.raises(DataError, match="no episodes"):
        Trajectories((), "Hopper-v5", "empty")
