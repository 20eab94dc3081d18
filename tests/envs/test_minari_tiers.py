"""Behaviour: policies from files and from search, tiers, and what is refused."""

import io
import json
import pickle
import sys
import types
import zipfile

import gymnasium
import numpy as np
import pytest
import torch

from namm_xmodal.envs.behaviour.archives import read_archive, read_policies
from namm_xmodal.envs.behaviour.ars import ArsRecipe, search
from namm_xmodal.envs.behaviour.policy import BehaviourPolicy, Normalisation, read_npz, write_npz
from namm_xmodal.envs.behaviour.record import record_episode
from namm_xmodal.envs.behaviour.tiers import Rated, choose, record_tier
from namm_xmodal.errors import ConfigError, DataError


def policy(name="p", inputs=3, seed=0, **more):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(4, inputs)), rng.normal(size=(2, 4))
    return BehaviourPolicy(name, weights, (rng.normal(size=4), np.zeros(2)), **more)


class Drift(gymnasium.Env):
    """A point that is pushed about; the reward is for staying near the origin."""

    observation_space = gymnasium.spaces.Box(-9, 9, (3,))
    action_space = gymnasium.spaces.Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.normal(size=3), 0
        return self.place.copy(), {}

    def step(self, action):
        self.place = self.place + 0.3 * np.array([action[0], action[1], 0.0])
        self.steps += 1
        reward = 1 - float(np.square(self.place[:2]).sum())
        return self.place.copy(), reward, False, self.steps >= 20, {}


def test_a_behaviour_policy_computes_what_its_layers_say():
    norm = Normalisation(np.array([1.0, 2.0, 3.0]), np.array([4.0, 1.0, 9.0]), 0.0, 1.5)
    made = policy(activation="relu", squash=True, normalisation=norm)
    x = np.array([9.0, 2.5, 0.0])
    hidden = np.maximum(made.weights[0] @ np.array([1.5, 0.5, -1.0]) + made.biases[0], 0)
    assert np.allclose(made.act(x, 0), np.tanh(made.weights[1] @ hidden))
    timed = policy(inputs=4)
    late = np.clip(
        timed.weights[1] @ np.tanh(timed.weights[0] @ np.array([9.0, 2.5, 0.0, 0.75]) + timed.biases[0]), -1, 1
    )
    assert np.allclose(timed.act(x, 250), late)


def test_plain_files_come_back_as_they_were(tmp_path):
    made = policy("point-a", normalisation=Normalisation(np.arange(3.0), np.ones(3)), squash=True)
    write_npz(made, tmp_path / "deep" / "point-a.npz")
    (again,) = read_policies(tmp_path, "point")
    x = np.array([0.3, -0.4, 2.0])
    assert np.array_equal(again.act(x, 3), made.act(x, 3))
    with pytest.raises(DataError, match="contains no policies of hopper"):
        read_policies(tmp_path, "hopper")
    (tmp_path / "point-bad.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"point-bad.npz: cannot be read"):
        read_npz(tmp_path / "point-bad.npz")


@pytest.fixture
def fake_library(monkeypatch):
    """Classes of the library's names, so that a genuine-looking pickle can be written."""

    class RunningMeanStd:
        pass

    class VecNormalize:
        pass

    for name, kind in (
        ("stable_baselines3.common.running_mean_std", RunningMeanStd),
        ("stable_baselines3.common.vec_env.vec_normalize", VecNormalize),
    ):
        for parent in ("stable_baselines3", "stable_baselines3.common", "stable_baselines3.common.vec_env"):
            monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
        module = types.ModuleType(name)
        kind.__module__, kind.__qualname__ = name, kind.__name__
        setattr(module, kind.__name__, kind)
        monkeypatch.setitem(sys.modules, name, module)
    return RunningMeanStd, VecNormalize


def write_archive(path, state, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = io.BytesIO()
    torch.save(state, weights)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", weights.getvalue())


def on_policy_state(made):
    return {
        "log_std": torch.zeros(2),
        "mlp_extractor.policy_net.0.weight": torch.tensor(made.weights[0]),
        "mlp_extractor.policy_net.0.bias": torch.tensor(made.biases[0]),
        "mlp_extractor.value_net.0.weight": torch.zeros(4, 3),
        "action_net.weight": torch.tensor(made.weights[1]),
        "action_net.bias": torch.tensor(made.biases[1]),
    }


def test_an_archive_of_the_zoo_is_read_without_its_library(tmp_path, fake_library, monkeypatch):
    running, normalize = fake_library
    rms, saved = running(), normalize()
    rms.mean, rms.var, rms.count = np.arange(3.0), np.array([1.0, 4.0, 9.0]), 5.0
    saved.__dict__.update(obs_rms=rms, clip_obs=10.0, epsilon=1e-8, norm_obs=True)
    made = policy(activation="relu", normalisation=Normalisation(rms.mean, rms.var))
    path = tmp_path / "ppo" / "Point-v3_1" / "Point-v3.zip"
    data = {
        "policy_kwargs": {":type:": "<class 'dict'>", "activation_fn": "<class 'torch.nn.modules.activation.ReLU'>"}
    }
    write_archive(path, on_policy_state(made), data)
    inner = path.with_suffix("")
    inner.mkdir()
    (inner / "vecnormalize.pkl").write_bytes(pickle.dumps(saved))
    for name in list(sys.modules):
        if name.startswith("stable_baselines3"):
            monkeypatch.delitem(sys.modules, name)
    (found,) = read_policies(tmp_path, "point")
    assert found.name == "point-ppo"
    for x in np.random.default_rng(0).normal(size=(5, 3)):
        assert np.allclose(found.act(x, 0), made.act(x, 0))


def test_actors_of_the_other_algorithms(tmp_path):
    made = policy()
    w0, w1, b0 = (torch.tensor(each) for each in (made.weights[0], made.weights[1], made.biases[0]))
    sac = {
        "actor.latent_pi.0.weight": w0,
        "actor.latent_pi.0.bias": b0,
        "actor.mu.weight": w1,
        "actor.mu.bias": torch.zeros(2),
        "actor.log_std.weight": w1,
        "critic.qf0.0.weight": w0,
    }
    td3 = {"actor.mu.0.weight": w0, "actor.mu.0.bias": b0, "actor.mu.2.weight": w1, "actor.mu.2.bias": torch.zeros(2)}
    linear = {"action_net.0.weight": torch.tensor(np.ones((2, 3)))}
    for name, state in (("sac", sac), ("td3", td3), ("ars", linear)):
        write_archive(tmp_path / name / "Point-v3_1" / "Point-v3.zip", state, {"policy_kwargs": {}})
    found = {each.name: each for each in read_policies(tmp_path, "point")}
    x = np.array([0.1, -0.2, 0.3])
    hidden = np.maximum(made.weights[0] @ x + made.biases[0], 0)
    for name in ("point-sac", "point-td3"):
        assert np.allclose(found[name].act(x, 0), np.tanh(made.weights[1] @ hidden))
    assert found["point-ars"].weights[0].shape == (2, 3)


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("true",)


def test_archives_run_nothing(tmp_path):
    path = tmp_path / "ppo" / "Point-v3_1" / "Point-v3.zip"
    write_archive(path, {"action_net.weight": Evil()}, {})
    with pytest.raises(
        DataError, match=r"refers to posix.system, which is not allowed\); expected tensors and nothing"
    ):
        read_archive(path)
    write_archive(path, on_policy_state(policy()), {})
    (path.parent / "vecnormalize.pkl").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"cannot be read \(it refers to posix.system, which is not allowed\)"):
        read_archive(path)
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match=r"cannot be read .* expected an archive of stable-baselines3"):
        read_archive(path)


def test_tiers_are_made_of_the_right_policies_and_come_out_the_same_twice():
    rated = [Rated(policy(f"p{i}", seed=i), mean) for i, mean in enumerate((100.0, 900.0, 300.0, 480.0))]
    chosen = choose(rated)
    assert {tier: [each.name for each in policies] for tier, policies in chosen.items()} == {
        "expert": ["p1"],
        "medium": ["p3"],
        "medium-replay": ["p0", "p2", "p3"],
    }
    once, twice = (record_tier(Drift, "medium-replay", chosen["medium-replay"], 4, 0, "Drift-v0") for _ in range(2))
    assert [len(each) for each in once.episodes] == [20] * 4
    for a, b in zip(once.episodes, twice.episodes, strict=True):
        assert np.array_equal(a.actions, b.actions) and np.array_equal(a.observations, b.observations)
    with pytest.raises(DataError, match="expected at least two"):
        choose(rated[:1])
    with pytest.raises(ConfigError, match="takes 7 and returns 2 numbers, but this environment has states of 3"):
        record_episode(Drift(), policy("wide", inputs=7), 0)


def test_a_search_climbs_and_resumes_where_it_stopped(tmp_path):
    recipe = ArsRecipe(6000, 6, 3, 0.2, 0.2, evaluate_every=5)

    class Stop(Exception):
        pass

    def stop(done, total, what):
        if done > 2500:
            raise Stop

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    ladder = search(Drift, recipe, 1, whole)
    assert ladder[-1].mean > ladder[0].mean + 5
    with pytest.raises(Stop):
        search(Drift, recipe, 1, parts, stop)
    again = search(Drift, recipe, 1, parts)
    assert [rung.mean for rung in again] == [rung.mean for rung in ladder]
    assert np.array_equal(again[-1].policy.weights[0], ladder[-1].policy.weights[0])
    with pytest.raises(DataError, match="belongs to another search"):
        search(Drift, recipe, 2, parts)
