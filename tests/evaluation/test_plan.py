"""Which runs a configuration means, and which mistakes show before a model is loaded."""

import pytest

from namm_xmodal.config import EvalConfig
from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.plan import make_plan


def config(**changes):
    values = {
        "model": "tiny-random",
        "tasks": {"keys": {"task": "key_retrieval", "n": 2}, "text": {"task": "next_token", "n": 3}},
        "policies": {"h2o": {"policy": "h2o"}, "full": {"policy": "full"}},
    }
    return EvalConfig.model_validate({**values, **changes})


def sizes(plan):
    return [(run.label, run.budget, run.protocol) for run in plan.runs]


def test_budgets_times_protocols_and_the_full_cache_once_and_first():
    plan = make_plan(config(budgets=[0.5, 64], protocols=["clock", "prompt_end"]))
    assert sizes(plan) == [
        ("full", None, "none"),
        ("h2o", 0.5, "clock"),
        ("h2o", 0.5, "prompt_end"),
        ("h2o", 64, "clock"),
        ("h2o", 64, "prompt_end"),
    ]
    assert plan.total == 25


def test_own_budgets_win_over_the_sweep():
    policies = {
        "one": {"policy": "tova", "budget": 0.3},
        "list": {"policy": "tova", "budget": [0.3, 99]},
        "namm": {"policy": "namm", "init": "zeros"},
        "capped": {"policy": "namm", "init": "zeros", "budget": [0.5]},
    }
    plan = make_plan(config(policies=policies))
    assert sizes(plan) == [
        ("one", 0.3, "clock"), ("list", 0.3, "clock"), ("list", 99, "clock"), ("namm", None, "clock"),
        ("capped", 0.5, "clock"),
    ]  # fmt: skip
    assert plan.runs[-1].policy.max_tokens == 0.5


def test_units_interleave_tasks_and_skip_what_is_done():
    plan = make_plan(config(budgets=[0.5]))
    units = plan.units(frozenset())
    assert [(unit.task, unit.sample) for unit in units] == [
        ("keys", 0), ("text", 0), ("keys", 1), ("text", 1), ("text", 2)
    ]  # fmt: skip
    done = frozenset({plan.runs[0].key("keys", 0), plan.runs[0].key("text", 2), plan.runs[1].key("text", 2)})
    left = plan.units(done)
    assert left[0].runs == (1,)
    assert ("text", 2) not in [(unit.task, unit.sample) for unit in left]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policies": {"a": {"policy": "nope_nope"}}}, "unknown policy 'nope_nope': known: "),
        ({"tasks": {"a": {"task": "key_retrival", "n": 1}}}, "unknown task 'key_retrival': did you mean key_retrieval"),
        ({"tasks": {"a": {"task": "key_retrieval"}}}, "tasks.a.n: None: expected a number of samples"),
        ({"tasks": {"a": {"task": "key_retrieval", "n": 0}}}, "tasks.a.n: 0: expected a number of samples"),
        ({"tasks": {"a": {"n": 1}}}, "tasks.a.task: missing"),
        ({"tasks": {"a": {"task": "key_retrieval", "n": 1, "lenght": [9]}}}, "did you mean length?"),
        (
            {"tasks": {"a": {"task": "key_retrieval", "n": 1, "length": ["x"]}}},
            "tasks.a.length: ['x']: expected a list, each a whole number",
        ),
        ({"policies": {"a": {"policy": "namm", "init": "zeros"}}, "update_every": 100}, "policies.a: update_every=100"),
        ({"policies": {"a": {"policy": "h2o", "budget": 5}}}, "policies.a: budget=5: below protect_first"),
        ({"policies": {"a": {"policy": "h2o", "budget": []}}}, "policies.a.budget: []"),
        ({"budgets": []}, "budgets: []: expected at least one cache size, since policies.h2o"),
    ],
)
def test_mistakes_are_one_line(changes, message):
    with pytest.raises(NammError) as caught:
        make_plan(config(**changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
