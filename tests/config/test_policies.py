"""From mappings to policies: every name of the table, closed fields, one-line mistakes."""

import math

import pytest

from namm_xmodal.config import build_policy
from namm_xmodal.config.policies import policy_fields, takes_budget
from namm_xmodal.errors import NammError
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.table import POLICIES

OTHERS = ("full", "namm", "by_head", "simlayerkv")  # without a budget, or in need of a file
BASELINES = [name for name in POLICIES if name not in OTHERS]


@pytest.mark.parametrize("name", BASELINES)
def test_every_rival_takes_a_budget(name):
    assert takes_budget(name)
    assert not takes_budget({"policy": name, "budget": 0.3})
    assert build_policy({"policy": name, "budget": 0.3}).budget == 0.3
    assert "budget" in policy_fields(name)


def test_full_and_namm_are_not_swept():
    assert not takes_budget("full")
    assert not takes_budget({"policy": "namm", "init": "zeros"})


def test_wrappers_build_their_base():
    policy = build_policy({"policy": "adakv", "budget": 64, "base": {"policy": "snapkv", "window": 16}})
    assert (policy.base.window, policy.base.budget) == (16, 64)


def test_untrained_namm():
    policy = build_policy({"policy": "namm", "init": "random", "seed": 1, "threshold": -math.inf, "budget": 0.25})
    assert isinstance(policy, Namm)
    assert (policy.threshold, policy.max_tokens) == (-math.inf, 0.25)
    again = build_policy({"policy": "namm", "init": "random", "seed": 1})
    assert (policy.parameters == again.parameters).all()


def test_saved_namm_with_knobs(tmp_path):
    Namm.untrained("random", seed=3).save_pretrained(tmp_path)
    policy = build_policy({"policy": "namm", "path": str(tmp_path), "threshold": 0.5, "budget": 128})
    assert (policy.threshold, policy.max_tokens) == (0.5, 128)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"policy": "h2oo"}, "unknown policy 'h2oo': did you mean h2o"),
        ({"policy": "h2o", "budgt": 1}, "policies.x.budgt: unknown key of policy h2o; did you mean budget?"),
        ({"policy": "h2o", "budget": 0}, "policies.x: budget=0: expected at least 1 token"),
        ({"policy": "h2o", "budget": 0.0}, "policies.x: budget=0.0: expected a fraction in (0, 1]"),
        ({"policy": "h2o", "budget": -3}, "policies.x: budget=-3"),
        ({"policy": "h2o", "budget": "half"}, "policies.x.budget: 'half': expected a number"),
        ({"policy": "h2o", "budget": True}, "policies.x.budget: True"),
        ({"policy": "snapkv", "window": 1.5}, "policies.x.window: 1.5: expected a whole number"),
        ({"policy": "adakv", "base": 3}, "policies.x.base: 3: expected a policy such as {policy: h2o}"),
        ({"policy": "adakv", "base": "full"}, "policies.x.base: FullCache(): expected Budgeted"),
        ({"policy": "adakv", "base": {"policy": "tova", "budget": 0.5}}, "policies.x.base.budget: the base uses"),
        ({"policy": "adakv", "base": {"policy": "tov"}}, "unknown policy 'tov': did you mean tova"),
        ({"policy": "namm"}, "policies.x: neither is given; expected either path (an evolved NAMM) or init"),
        ({"policy": "namm", "path": "a", "init": "zeros"}, "policies.x: both path: a and init: zeros are given"),
        ({"policy": "namm", "init": "ones"}, "policies.x.init: 'ones': expected one of zeros, random"),
        ({"policy": "namm", "init": "zeros", "budget": 0}, "policies.x: budget=0"),
        ({"policy": "namm", "init": "zeros", "budget": 1.0, "max_tokens": 3}, "is an alias of budget"),
        ({"policy": "namm", "path": "no/such/folder"}, "policies.x: no/such/folder"),
        ({}, "policies.x.policy: missing"),
        (7, "policies.x: 7: expected a policy"),
    ],
)
def test_mistakes_are_one_line(spec, message):
    with pytest.raises(NammError) as caught:
        build_policy(spec, "policies.x")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
