"""Environments that misbehave: one bad episode never ends the run; what an agent cannot see or do is refused by name."""

import re
from contextlib import contextmanager

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from namm_xmodal.envs.behaviour.policy import BehaviourPolicy
from namm_xmodal.envs.behaviour.record import record_episode
from namm_xmodal.envs.rollout import Target, rollout
from namm_xmodal.envs.spaces import as_reward, as_state, size_of
from namm_xmodal.errors import ConfigError, DataError

VECTOR = spaces.Box(-1, 1, (2,))


class Still:
    """Says zeros; notes the states it was given."""

    def __init__(self, size=2):
        self.size, self.states = size, []

    @contextmanager
    def begin(self, episodes):
        yield self

    def act(self, step_input):
        self.states.append(step_input.states.copy())
        return np.zeros((len(step_input.states), self.size))

    def kept(self):
        return np.full(len(self.states[-1]), 2.0)

    def survivors(self, row):
        return None


class Odd(gymnasium.Env):
    """Three steps of reward 1; the episode of seed 1 does what `odd` says."""

    observation_space = VECTOR
    action_space = VECTOR

    def __init__(self, odd=lambda step, world: None, observation=lambda: np.zeros(2)):
        self.odd, self.observation = odd, observation

    def reset(self, *, seed=None, options=None):
        self.bad, self.step_number = seed == 1, 0
        return self._answer((self.observation(), {}))

    def step(self, action):
        self.step_number += 1
        return self._answer((self.observation(), 1.0, self.step_number == 3, False, {}))

    def _answer(self, usual):
        other = self.odd(self.step_number, self) if self.bad else None
        if isinstance(other, Exception):
            raise other
        return usual if other is None else other

    def close(self):
        if getattr(self, "bad", False):
            raise RuntimeError("cannot be closed")


ZEROS = np.zeros(2)
BAD = {
    "reset raises": (
        0,
        RuntimeError("no\nlicence"),
        0,
        "step 0: the environment did not start: RuntimeError: no licence",
    ),
    "reset says nothing": (0, ZEROS, 0, "step 0: the environment did not start: "),
    "reset gives NaN": (0, (ZEROS * np.nan, {}), 0, "an observation that is not finite"),
    "reset gives more": (0, (np.zeros(3), {}), 0, r"an observation of shape \(3,\), expected 2 numbers"),
    "step raises": (2, KeyError("joint"), 1, "step 1: the environment stopped: KeyError: 'joint'"),
    "old step": (2, (ZEROS, 1.0, False, {}), 1, "not enough values"),
    "reward None": (1, (ZEROS, None, False, False, {}), 0, "step 0: the environment stopped: a reward that is None"),
    "reward array": (2, (ZEROS, np.ones(3), False, False, {}), 1, r"a reward that is an array of shape \(3,\)"),
    "reward NaN": (2, (ZEROS, np.nan, False, False, {}), 1, "a reward that is not finite"),
    "reward infinite": (2, (ZEROS, 1e300, False, False, {}), 1, "a reward that is not finite"),
    "reward text": (2, (ZEROS, "much", False, False, {}), 1, "ValueError"),
    "ended twice": (2, (ZEROS, 1.0, np.array([True, False]), False, {}), 1, "ValueError"),
    "states None": (2, (None, 1.0, False, False, {}), 1, "an observation of shape"),
    "states of another size": (2, (np.zeros(5), 1.0, False, False, {}), 1, r"an observation of shape \(5,\)"),
    "states by name": (2, ({"x": 1}, 1.0, False, False, {}), 1, "an observation is a dict, expected 2 numbers"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("batch", [1, 3])
def test_a_bad_episode_is_counted_and_named_and_the_others_go_on(name, batch):
    at, answer, length, message = BAD[name]
    agent = Still()
    found = list(
        rollout(
            lambda: Odd(lambda step, world: answer if step == at else None), agent, range(3), Target(3.0), batch=batch
        )
    )
    assert [(episode.seed, episode.stop) for episode in found] == [(0, "terminated"), (1, "failed"), (2, "terminated")]
    assert [episode.total for episode in found] == [3.0, float(length), 3.0]
    assert (found[1].length, found[1].environment) == (length, "Odd")
    assert re.search(message, found[1].message), found[1].message
    assert "\n" not in found[1].message
    assert all(np.isfinite(states).all() for states in agent.states)


def test_an_environment_that_cannot_be_made_ends_its_episode_only():
    made = iter([Odd(), None, Odd()])

    def make():
        world = next(made)
        if world is None:
            raise OSError("no more files")
        return world

    found = list(rollout(make, Still(), [0, 2, 3], Target(3.0), batch=3))
    assert [episode.stop for episode in found] == ["terminated", "failed", "terminated"]
    assert found[1].message == "step 0: the environment did not start: OSError: no more files"
    assert {episode.environment for episode in found} == {"Odd"}


def test_where_no_episode_starts_no_agent_is_asked():
    agent = Still()
    found = list(rollout(lambda: Odd(lambda step, world: RuntimeError("no")), agent, [1, 1], Target(1.0)))
    assert [episode.stop for episode in found] == ["failed"] * 2 and agent.states == []


def test_numbers_and_rewards_in_arrays_work():
    class Scalar(Odd):
        observation_space, action_space = spaces.Box(-1, 1, ()), spaces.Box(-1, 1, ())

        def step(self, action):
            assert action.shape == () and action.dtype == np.float32
            observation, reward, *rest = super().step(action)
            return observation, np.array([reward]), *rest

    agent = Still(1)
    (episode,) = rollout(lambda: Scalar(observation=lambda: np.float32(0.5)), agent, [0], Target(3.0))
    assert (episode.total, episode.stop) == (3.0, "terminated")
    assert all(states.tolist() == [[0.5]] for states in agent.states)
    assert as_reward(np.float32(2)) == as_reward([[2]]) == as_reward(np.array(2)) == 2.0
    assert as_state([[1], [2]], 2).tolist() == [1.0, 2.0]


SPACES = {
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete([2, 2]),
    "MultiBinary": spaces.MultiBinary(2),
    "Dict": spaces.Dict({"observation": VECTOR}),
    "Tuple": spaces.Tuple([VECTOR]),
    "Text": spaces.Text(3),
}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("what", ["states", "actions"])
def test_spaces_that_are_no_vectors_are_refused_by_name(name, what):
    with pytest.raises(ConfigError, match=f"{what} of type {name}: expected a Box of one vector or one number"):
        size_of(SPACES[name], what)


def test_boxes():
    assert size_of(spaces.Box(-1, 1, ()), "actions") == 1
    assert size_of(spaces.Box(0, 255, (128,), np.uint8), "states") == 128
    with pytest.raises(ConfigError, match=r"states of shape \(84, 84, 3\): .* pictures are not supported"):
        size_of(spaces.Box(0, 255, (84, 84, 3), np.uint8), "states")
    with pytest.raises(ConfigError, match="actions of int64: expected real numbers"):
        size_of(spaces.Box(0, 5, (2,), np.int64), "actions")


def test_behaviour_is_recorded_from_scalars_and_refused_by_name():
    class Scalar(Odd):
        action_space = spaces.Box(-1, 1, ())

    policy = BehaviourPolicy("p", (np.zeros((1, 2)),), (np.zeros(1),))
    made = record_episode(Scalar(), policy, 0)
    assert made.actions.shape == (3, 1) and made.total == 3.0
    with pytest.raises(DataError, match="a reward that is None"):
        record_episode(Scalar(lambda step, world: (ZEROS, None, False, False, {}) if step else None), policy, 1)

    class Choice(Odd):
        action_space = spaces.Discrete(2)

    with pytest.raises(ConfigError, match="actions of type Discrete"):
        record_episode(Choice(), policy, 0)
