"""D4RL files and Minari datasets: scalars and vectors work, all else is refused by name, damage is one line."""

import json

import h5py
import minari
import numpy as np
import pytest
from gymnasium import spaces
from minari.data_collector import EpisodeBuffer

from namm_xmodal.envs.d4rl_hdf5 import read_d4rl
from namm_xmodal.envs.minari_data import minari_reference, read_minari, write_minari
from namm_xmodal.envs.trajectories import Trajectories, Trajectory
from namm_xmodal.errors import DataError

STEPS = 12
GOOD = {
    "observations": np.random.default_rng(0).normal(size=(STEPS, 4)),
    "actions": np.random.default_rng(1).uniform(-1, 1, (STEPS, 2)),
    "rewards": np.arange(STEPS, dtype=np.float64),
    "terminals": np.isin(np.arange(STEPS), [4]),
    "timeouts": np.isin(np.arange(STEPS), [8]),
}


def write(path, **changes):
    with h5py.File(path, "w") as file:
        for name, values in {**GOOD, **changes}.items():
            if isinstance(values, dict):
                group = file.create_group(name)
                for key, value in values.items():
                    group[key] = value
            elif values is not None:
                file[name] = values
    return path


WORKS = {
    "numbers as states": ({"observations": np.linspace(0, 1, STEPS)}, (1, 2)),
    "numbers as actions": ({"actions": np.linspace(0, 1, STEPS)}, (4, 1)),
    "bytes as states": ({"observations": np.ones((STEPS, 128), np.uint8)}, (128, 2)),
    "whole rewards": ({"rewards": np.arange(STEPS)}, (4, 2)),
    "rewards in a column": ({"rewards": np.arange(STEPS, dtype=np.float32)[:, None]}, (4, 2)),
    "ends as floats": (
        {"terminals": GOOD["terminals"].astype(np.float32), "timeouts": GOOD["timeouts"].astype(int)},
        (4, 2),
    ),
}


@pytest.mark.parametrize("name", WORKS)
def test_d4rl_files_with_scalars_vectors_and_other_types_work(tmp_path, name):
    changes, sizes = WORKS[name]
    data = read_d4rl(write(tmp_path / "x.hdf5", **changes))
    assert (data.state_dim, data.act_dim) == sizes
    assert [(len(each), each.terminated) for each in data.episodes] == [(5, True), (4, False), (3, False)]
    assert data.returns().tolist() == [10.0, 26.0, 30.0]


REFUSED = {
    "discrete actions": ({"actions": np.zeros(STEPS, int)}, r"actions are discrete \(int64\); expected real numbers"),
    "discrete actions in a column": ({"actions": np.zeros((STEPS, 1), np.int32)}, r"actions are discrete \(int32\)"),
    "yes or no as actions": ({"actions": np.zeros(STEPS, bool)}, r"actions are discrete \(bool\)"),
    "discrete states": ({"observations": np.zeros(STEPS, int)}, r"observations are discrete \(int64\)"),
    "pictures": ({"observations": np.zeros((STEPS, 8, 8, 3), np.uint8)}, r"of shape \(12, 8, 8, 3\) such as pictures"),
    "matrices as actions": ({"actions": np.zeros((STEPS, 2, 2))}, "actions are arrays of shape"),
    "no numbers at all": ({"observations": np.zeros((STEPS, 0))}, r"observations are arrays of shape \(12, 0\)"),
    "one number": ({"actions": 0.5}, r"actions are arrays of shape \(\)"),
    "one reward": ({"rewards": 0.5}, r"rewards are of shape \(\); expected one number per step"),
    "groups": ({"observations": {"pixels": np.zeros(3)}}, "observations is (a group|not an array)"),
    "text": ({"rewards": np.array([b"much"] * STEPS)}, r"rewards (are|is) of \|S4[;,] expected numbers"),
    "complex": ({"observations": np.zeros((STEPS, 2), complex)}, "observations (are|is) of complex128"),
    "records": ({"actions": np.zeros(STEPS, [("x", float)])}, "expected numbers"),
    "several rewards": ({"rewards": np.zeros((STEPS, 3))}, r"rewards are of shape \(12, 3\)"),
    "ends that are counts": ({"terminals": np.arange(STEPS)}, "terminals hold 2; expected 0 and 1"),
    "ends that are NaN": ({"timeouts": np.full(STEPS, np.nan)}, "timeouts hold nan; expected 0 and 1"),
    "NaN": ({"rewards": np.full(STEPS, np.nan)}, "episode 0 has NaN or infinity among its rewards"),
    "beyond float32": ({"observations": np.full((STEPS, 4), 1e300)}, "NaN or infinity among its observations"),
    "shorter": ({"actions": GOOD["actions"][:5]}, "arrays have different lengths"),
    "nothing": ({name: values[:0] for name, values in GOOD.items()}, "contains no steps"),
    "no terminals": ({"terminals": None}, "lacks terminals"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("error")
def test_d4rl_files_of_anything_else_are_refused_by_name(tmp_path, name):
    changes, message = REFUSED[name]
    with pytest.raises(DataError, match=message) as caught:
        read_d4rl(write(tmp_path / "x.hdf5", **changes))
    assert "x.hdf5: " in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_d4rl_files_are_one_line(tmp_path):
    whole = write(tmp_path / "whole.hdf5").read_bytes()
    rng = np.random.default_rng(0)
    broken = [b"", b"no", *(whole[: int(cut)] for cut in rng.integers(1, len(whole), 10))]
    for _ in range(30):
        bad = bytearray(whole)
        for at in rng.integers(0, len(whole), 40):
            bad[at] = rng.integers(256)
        broken.append(bytes(bad))
    path, messages = tmp_path / "x.hdf5", []
    for content in broken:
        path.write_bytes(content)
        try:
            read_d4rl(path)
        except DataError as error:
            messages.append(str(error))
    assert len(messages) >= 12
    assert all("x.hdf5: " in message and "\n" not in message for message in messages)


@pytest.mark.parametrize(
    ("observations", "actions", "rewards"),
    [((3,), (3, 1), (3,)), ((3, 2), (3,), (3,)), ((3, 8, 8), (3, 1), (3,)), ((3, 2), (3, 1), (3, 1))],
)
def test_trajectories_say_which_shapes_they_want(observations, actions, rewards):
    episode = Trajectory(*(np.zeros(shape, np.float32) for shape in (observations, actions, rewards)), True)
    with pytest.raises(DataError, match="expected one vector, one vector and one number per step"):
        Trajectories((episode,), "x", "mine")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def column(space, rows):
    """Samples of a space, one below another, as Minari wants them."""
    if isinstance(space, spaces.Dict):
        return {key: column(inner, rows) for key, inner in space.items()}
    if isinstance(space, spaces.Tuple):
        return tuple(column(inner, rows) for inner in space)
    return [space.sample() for _ in range(rows)]


def make(name, states, actions, **changes):
    """A dataset of two episodes of five steps with these spaces."""
    buffers = []
    for number in range(2):
        parts = {
            "observations": column(states, 6),
            "actions": column(actions, 5),
            "rewards": [1.0] * 5,
            "terminations": [False] * 4 + [True],
            "truncations": [False] * 5,
            **changes,
        }
        buffers.append(EpisodeBuffer(id=number, **parts))
    minari.create_dataset_from_buffers(name, buffers, observation_space=states, action_space=actions, description="-")


VECTOR = spaces.Box(-1, 1, (3,), np.float32)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("states", "actions", "sizes"),
    [
        (VECTOR, VECTOR, (3, 3)),
        (spaces.Box(-1, 1, ()), spaces.Box(-1, 1, ()), (1, 1)),
        (spaces.Box(0, 255, (6,), np.uint8), spaces.Box(-1, 1, (1,)), (6, 1)),
    ],
)
def test_minari_datasets_of_numbers_and_vectors_work(states, actions, sizes):
    make("local/x-v0", states, actions)
    data = read_minari("local/x")
    assert (data.state_dim, data.act_dim) == sizes
    assert [(len(each), each.terminated, each.total) for each in data.episodes] == [(5, True, 5.0)] * 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("states", "actions", "message"),
    [
        (spaces.Discrete(5), VECTOR, "states of type Discrete"),
        (VECTOR, spaces.Discrete(3), "actions of type Discrete"),
        (VECTOR, spaces.MultiDiscrete([2, 3]), "actions of type MultiDiscrete"),
        (spaces.Dict({"goal": VECTOR}), VECTOR, "states of type Dict"),
        (spaces.Tuple([VECTOR, VECTOR]), VECTOR, "states of type Tuple"),
        (spaces.Box(0, 255, (16, 16, 3), np.uint8), VECTOR, r"states of shape \(16, 16, 3\): .* pictures"),
        (VECTOR, spaces.Box(0, 5, (2,), np.int64), "actions of int64"),
    ],
)
def test_minari_datasets_of_other_spaces_are_refused_by_name(states, actions, message):
    make("local/x-v0", states, actions)
    with pytest.raises(DataError, match=f"Minari dataset local/x-v0: {message}"):
        read_minari("local/x-v0")


def rewrite(home, name, values):
    with h5py.File(home / "local/x-v0/data/main_data.hdf5", "a") as file:
        del file[name]
        if values is not None:
            file[name] = values


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("episode_1/actions", np.zeros((0, 3), np.float32), "episode 1 has 6 observations, 0 actions, 5 rewards"),
        ("episode_1/observations", np.zeros((5, 3), np.float32), "expected T \\+ 1, T, T and T"),
        ("episode_0/rewards", np.zeros((5, 2)), r"rewards are of shape \(5, 2\)"),
        ("episode_0/rewards", np.full(5, np.nan), "episode 0 has NaN"),
        ("episode_0/terminations", np.zeros(0, bool), "0 terminations"),
        ("episode_0/rewards", None, "KeyError"),
        ("episode_1", None, "KeyError"),
        ("episode_1/actions", np.zeros((5, 2), np.float32), "episode 1 has other sizes"),
    ],
)
def test_minari_episodes_that_do_not_fit_are_one_line(home, name, values, message):
    make("local/x-v0", VECTOR, VECTOR)
    rewrite(home, name, values)
    with pytest.raises(DataError, match=message) as caught:
        read_minari("local/x-v0")
    assert "\n" not in str(caught.value) and "Minari" in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_damaged_minari_datasets_are_one_line(home):
    make("local/x-v0", VECTOR, VECTOR)
    data, metadata = (home / "local/x-v0/data" / name for name in ("main_data.hdf5", "metadata.json"))
    whole, text = data.read_bytes(), metadata.read_text()
    for content in (b"", b"nothing", whole[: len(whole) // 2]):
        data.write_bytes(content)
        with pytest.raises(DataError, match=r"Minari dataset local/x-v0: .*cannot be read") as caught:
            read_minari("local/x-v0")
        assert "\n" not in str(caught.value)
    data.write_bytes(whole)
    values = json.loads(text)
    for bad in ("{", "[]", "{}", *(json.dumps({**values, name: 3}) for name in ("observation_space", "data_format"))):
        metadata.write_text(bad)
        for read in (read_minari, minari_reference):
            with pytest.raises(DataError, match="Minari dataset local/x-v0") as caught:
                read("local/x-v0")
            assert "\n" not in str(caught.value)
    metadata.write_text(json.dumps({**values, "ref_min_score": "low", "ref_max_score": 1}))
    with pytest.raises(DataError, match="has no reference returns"):
        minari_reference("local/x-v0")


@pytest.mark.filterwarnings("ignore")
def test_trajectories_of_no_known_environment_can_be_written(tmp_path):
    data = read_d4rl(write(tmp_path / "x.hdf5"))
    write_minari("local/y-v0", data, description="-")
    again = read_minari("local/y-v0")
    assert again.environment == "" and again.steps == STEPS
    with pytest.raises(DataError, match="cannot be written"):
        write_minari("local/z-v0", Trajectories(data.episodes, "NoSuchWorld-v9", "x"), description="-")
