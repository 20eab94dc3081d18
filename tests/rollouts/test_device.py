"""Agents run where their section says."""

import pytest
import torch
from evaluations import make, plan_of

from namm_xmodal.errors import ConfigError
from namm_xmodal.modalities.rl.loaded_agents import load_agents
from namm_xmodal.modalities.rl.setups import find_setups


def section_on(device):
    rl = {"model": "tmaze", "model_seeds": [0], "episodes": 1, "device": device}
    return plan_of(make(policies={"full": {"policy": "full"}}, rl=rl))[0]


def test_models_are_moved():
    for device in ("cpu", "meta"):
        section = section_on(device).section
        (loaded,) = load_agents(section, find_setups(section))
        assert {each.device.type for each in loaded.agent_model.model.parameters()} == {device}
        assert loaded.agent_model.tensor([0.0]).device.type == device


@pytest.mark.parametrize("device", ["nowhere", *([] if torch.cuda.is_available() else ["cuda"])])
def test_a_device_that_is_not_there_is_refused_before_weights_load(device):
    with pytest.raises(ConfigError, match=f"rl: device: '{device}': .*expected a") as caught:
        section_on(device).check()
    assert "\n" not in str(caught.value)
