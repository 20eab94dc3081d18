"""Arguments of the harness's model: what they mean, and one line for each mistake."""

import pytest

from namm_xmodal.errors import BudgetError, CheckpointError, ClockError, ConfigError, UnknownNameError
from namm_xmodal.harness.arguments import read_arguments
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.namm import Namm


def read(**given):
    return read_arguments({"pretrained": "tiny-random", **given})


def test_a_policy_or_a_saved_namm(tmp_path):
    assert read(policy="keydiff", budget=0.25, update_every=64).section.update_every == 64
    assert read(policy="full").arm.full
    shipped = read(policy="namm-universal", budget=0.5).arm
    assert isinstance(shipped.policy, Namm) and shipped.policy.max_tokens == 0.5
    shipped.policy.save_pretrained(tmp_path / "mine")
    assert read(policy=str(tmp_path / "mine")).arm.fingerprint == shipped.fingerprint
    assert read(policy="namm", path="namm-smollm2").arm.fingerprint == read(policy="namm-smollm2").arm.fingerprint
    assert read(policy="namm-smollm2", threshold="-.inf", budget=64).arm.policy.threshold == float("-inf")
    divided = read(policy="by_head", base="namm-universal", shares="smollm2-135m", budget=0.25).arm.policy
    assert isinstance(divided, ByHead) and isinstance(divided.base, Namm)


def test_defaults_are_those_of_eval():
    section = read(policy="full").section
    assert (section.update_every, section.protect_first, section.protect_recent) == (256, 4, 8)
    assert (section.schedule, section.batch_size, section.max_length) == ("streaming", 1, None)


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        ({}, ConfigError, "model_args.policy: missing; expected a name of `namm-xmodal list policies`"),
        ({"policy": "keydif", "budget": 0.5}, UnknownNameError, "unknown policy 'keydif': did you mean keydiff"),
        ({"policy": "namm-universl"}, UnknownNameError, "did you mean namm-universal"),
        ({"policy": "./nowhere"}, CheckpointError, "nowhere: no such folder"),
        ({"policy": "keydiff"}, ConfigError, "model_args.budget: missing; policy=keydiff needs a cache size"),
        (
            {"policy": "keydiff", "budget": [0.5, 0.25]},
            ConfigError,
            "expected one cache size; run the harness once for",
        ),
        ({"policy": "keydiff", "budget": -1}, BudgetError, "budget=-1: expected at least 1 token"),
        ({"policy": "keydiff", "budget": 0.5, "update_evry": 8}, ConfigError, "did you mean update_every"),
        ({"policy": "full", "budget": 0.5}, ConfigError, "neither an argument nor a field of policy full"),
        ({"policy": "full", "batch_size": "auto"}, ConfigError, "batch_size: 'auto': expected a whole number"),
        ({"policy": "full", "schedule": "prefill"}, ConfigError, "expected one of streaming, post_prefill"),
        ({"policy": "namm-smollm2", "update_every": 100}, ClockError, "expected a multiple of this NAMM's hop"),
        ({"policy": "namm-smollm2", "path": "x"}, ConfigError, "names a saved NAMM already; remove one"),
    ],
)
def test_mistakes(given, kind, said):
    with pytest.raises(kind) as caught:
        read(**given)
    assert said in str(caught.value)
