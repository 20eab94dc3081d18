"""Rollouts: batches do not matter, one bad episode does not stop the others, targets count down."""

from contextlib import contextmanager

import gymnasium
import numpy as np
import pytest

from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.rollout import Target, rollout
from namm_xmodal.envs.tmaze import TMAZE
from namm_xmodal.errors import ConfigError


class Scripted:
    """Goes forward and turns by what the first observation said; notes what it was given."""

    def __init__(self, action=None):
        self.inputs, self.action = [], action

    @contextmanager
    def begin(self, episodes):
        self.cues = None
        yield self

    def act(self, step_input):
        self.inputs.append(step_input)
        if step_input.step == 0:
            self.cues = step_input.states[:, 0]
        if self.action is not None:
            return self.action(step_input)
        return np.stack([np.ones_like(self.cues), self.cues], 1)

    def kept(self):
        return np.full(len(self.cues), 2.0)

    def survivors(self, row):
        return None


def test_a_perfect_agent_solves_the_maze_in_any_batch():
    make = environment_maker(TMAZE, length=12, distractors=0.3)
    runs = [list(rollout(make, Scripted(), range(7), Target(1.0, 1.0), batch=batch)) for batch in (1, 3, 7)]
    assert runs[0] == runs[1] == runs[2]
    assert [episode.seed for episode in runs[0]] == list(range(7))
    assert all((e.total, e.length, e.stop, e.environment) == (1.0, 13, "terminated", TMAZE) for e in runs[0])
    assert all(e.tokens_seen == 3 * 13 - 1 and e.kept_mean == 2.0 for e in runs[0])


def test_the_cue_decides_and_is_seen_once():
    make = environment_maker(TMAZE, length=5)
    wrong = Scripted(lambda step_input: np.stack([np.ones(4), -agent_cues(step_input)], 1))
    cues = []

    def agent_cues(step_input):
        if step_input.step == 0:
            cues.append(step_input.states[:, 0])
        else:
            assert (step_input.states[:, 0] == 0).all()
        return cues[0]

    assert [episode.total for episode in rollout(make, wrong, range(4), Target(1.0, 1.0), batch=4)] == [0.0] * 4
    assert set(cues[0]) == {-1.0, 1.0}


def test_standing_still_is_truncated_and_steps_are_limited():
    make = environment_maker(TMAZE, length=5, patience=3)
    still = Scripted(lambda step_input: np.zeros((1, 2)))
    (episode,) = rollout(make, still, [0], Target(1.0, 1.0))
    assert (episode.stop, episode.length) == ("truncated", 8)
    (episode,) = rollout(make, Scripted(lambda step_input: np.zeros((1, 2))), [0], Target(1.0, 1.0), max_steps=4)
    assert (episode.stop, episode.length) == ("limit", 4)


def test_an_action_that_is_not_finite_stops_its_episode_only():
    def action(step_input):
        actions = np.ones((3, 2))
        if step_input.step == 2:
            actions[1] = np.nan
        return actions

    agent = Scripted(action)
    good, bad, other = rollout(environment_maker(TMAZE, length=6), agent, range(3), Target(1.0, 1.0))
    assert (bad.stop, bad.length, bad.message) == ("failed", 2, "step 2: the agent's action is not finite")
    assert {good.length, other.length} == {7}
    assert all(np.isfinite(step_input.states).all() for step_input in agent.inputs)


class Crashes(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        self.left = seed
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("the simulation is unstable\nwith details")
        return np.zeros(2, np.float32), 1.5, self.left == 0 and False, False, {}


def test_a_crashing_environment_stops_its_episode_only():
    episodes = list(
        rollout(Crashes, Scripted(lambda step_input: np.zeros((2, 2))), [3, 9], Target(9.0, 3.0), max_steps=6)
    )
    assert [episode.length for episode in episodes] == [3, 6]
    assert episodes[0].stop == "failed"
    assert "RuntimeError" in episodes[0].message
    assert "\n" not in episodes[0].message
    assert episodes[1].total == 9.0


@pytest.mark.parametrize(("mode", "wanted"), [("decrement", [3.0, 2.5, 2.0]), ("constant", [3.0, 3.0, 3.0])])
def test_what_is_still_wanted(mode, wanted):
    agent = Scripted(lambda step_input: np.zeros((1, 2)))
    list(rollout(Crashes, agent, [9], Target(9.0, 3.0, mode), max_steps=3))
    assert [step_input.returns_to_go[0] for step_input in agent.inputs] == wanted


def test_mistakes_are_one_line():
    with pytest.raises(ConfigError, match="scale=0: expected a positive number"):
        Target(1.0, 0)
    with pytest.raises(ConfigError, match="batch=0: expected at least 1"):
        list(rollout(Crashes, Scripted(), [0], Target(1.0), batch=0))
    with pytest.raises(ConfigError, match="environment 'Hoper-v5': cannot be created"):
        environment_maker("Hoper-v5")
    with pytest.raises(ConfigError, match="length=0: expected a corridor"):
        environment_maker(TMAZE, length=0)
