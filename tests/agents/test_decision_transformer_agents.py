"""Agents: window is transformers' own recompute, cache equals it while nothing is lost, batches do not matter on MuJoCo."""

import numpy as np
import pytest
import torch
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from namm_xmodal import Namm, StreamingLLM
from namm_xmodal.agents import AgentModel, CacheAgent, StateStatistics, WindowAgent
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.positions import HOPPER_POSITIONS
from namm_xmodal.envs.rollout import Target, rollout
from namm_xmodal.errors import ConfigError


@pytest.fixture(scope="module")
def agent_model():
    config = DecisionTransformerConfig(state_dim=11, act_dim=3, hidden_size=32, n_layer=2, n_head=2, max_ep_len=100)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DecisionTransformerModel(config).double().eval()
    rng = np.random.default_rng(0)
    return AgentModel(model, StateStatistics(rng.normal(size=11), rng.uniform(0.5, 2.0, 11)))


def play(agent, batch=4, steps=25, episodes=4):
    make = environment_maker("Hopper-v5")
    return list(rollout(make, agent, range(episodes), Target(3000.0), max_steps=steps, batch=batch))


def test_a_decision_transformer_window_that_holds_everything_is_a_cache_that_holds_everything(agent_model):
    assert [e.total for e in play(WindowAgent(agent_model, 100))] == [
        e.total for e in play(CacheAgent(agent_model, None))
    ]
    assert [e.total for e in play(WindowAgent(agent_model, 2))] != [
        e.total for e in play(CacheAgent(agent_model, None))
    ]


@pytest.mark.parametrize(
    "policy",
    [None, StreamingLLM(budget=9, num_sinks=0), Namm.untrained("random", sigma=0.4)],
    ids=["full", "fifo", "namm"],
)
def test_a_rollout_does_not_depend_on_its_batch(agent_model, policy):
    agent = CacheAgent(agent_model, policy, update_every=16)
    together, alone = play(agent, 4), play(agent, 1)
    assert [(e.total, e.length, e.stop) for e in together] == [(e.total, e.length, e.stop) for e in alone]
    assert np.allclose([e.kept_mean for e in together], [e.kept_mean for e in alone])


def test_forgetting_shows_in_the_record(agent_model):
    full, small = (
        play(CacheAgent(agent_model, None), episodes=1),
        play(CacheAgent(agent_model, StreamingLLM(budget=9, num_sinks=0), update_every=3), episodes=1),
    )
    assert full[0].kept_end == full[0].tokens_seen
    assert small[0].kept_end <= 9 + 3 < small[0].tokens_seen


def test_sizes_that_do_not_fit_are_one_line(agent_model):
    with pytest.raises(ConfigError, match="statistics of length 5, but this model has states of 11 numbers"):
        AgentModel(agent_model.model, StateStatistics(np.zeros(5), np.ones(5)))
    with pytest.raises(ConfigError, match="positive standard deviations"):
        StateStatistics(np.zeros(3), np.array([1.0, 0.0, 1.0]))
    with pytest.raises(ConfigError, match="states have 5 numbers, the model's 11"):
        list(rollout(environment_maker(HOPPER_POSITIONS), WindowAgent(agent_model), [0], Target(1.0)))
    with pytest.raises(ConfigError, match="window=0: expected at least 1 step"):
        WindowAgent(agent_model, 0)
