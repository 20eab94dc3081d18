"""Every YAML that ships is a test case."""

import pytest

from namm_xmodal.config import EvalConfig, load_eval_config, packaged_configs
from namm_xmodal.evaluation.plan import make_plan

LANGUAGE = [name for name in packaged_configs() if name.startswith("language/")]


@pytest.mark.parametrize("name", LANGUAGE)
def test_every_shipped_file_makes_a_plan(name):
    config = load_eval_config(name)
    plan = make_plan(config)
    assert plan.runs[0].full
    assert plan.total >= 4
    assert config.output == f"results/{name.split('/')[1]}"


@pytest.mark.parametrize("name", LANGUAGE)
def test_every_shipped_file_says_what_it_is(name):
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")


def test_the_main_file_asks_what_the_documentation_promises():
    plan = make_plan(load_eval_config("language/smollm2"))
    rivals = {run.label for run in plan.runs if run.budget == 0.25} & {
        run.label for run in plan.runs if run.budget == 0.5
    }
    assert len(rivals - {"namm_untrained"}) >= 8
    assert "namm_untrained" in rivals
    assert len(plan.tasks) >= 4


def test_the_main_file_names_every_key():
    text = packaged_configs()["language/smollm2"].read_text(encoding="utf-8")
    missing = [key for key in EvalConfig.model_fields if f"\n{key}:" not in text]
    assert missing == []
