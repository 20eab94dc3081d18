"""The evaluation file: closed keys, ranges, overrides, the digest."""

import pytest
import yaml

from namm_xmodal.config import EvalConfig, describe, evaluation_digest, load_eval_config, to_yaml
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.errors import ConfigError

MINIMAL = """
model: tiny-random
tasks: {keys: {task: key_retrieval, n: 2}}
policies: {h2o: {policy: h2o}}
"""


@pytest.fixture
def minimal(tmp_path):
    path = tmp_path / "minimal.yaml"
    path.write_text(MINIMAL)
    return path


def refused(path, *changes):
    with pytest.raises(ConfigError) as caught:
        load_eval_config(path, changes)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_defaults_are_filled_in(minimal):
    config = load_eval_config(minimal)
    assert (config.update_every, config.protocols, config.budgets) == (256, ("clock",), (0.5, 0.25))
    assert config.output == "results/minimal"


def test_output_argument_wins(minimal):
    assert load_eval_config(minimal, ["output=a"], "b").output == "b"


def test_one_value_where_a_list_is_expected(minimal):
    config = load_eval_config(minimal, ["protocols=prompt_end", "budgets=64", "scoring=generate"])
    assert (config.protocols, config.budgets, config.scoring) == (("prompt_end",), (64,), ("generate",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("updat_every=64", "updat_every: unknown key; did you mean update_every?"),
        ("sed=null", "sed: unknown key; did you mean seed?"),
        ("bootstrap.resample=100", "bootstrap.resample: unknown key; did you mean resamples?"),
        ("update_every=0", "update_every: 0: expected a whole number, at least 1"),
        ("update_every=often", "update_every: 'often': expected a whole number"),
        ("budgets=[0]", "budgets: 0: expected at least 1 token, or a fraction in (0, 1] such as 0.5"),
        ("budgets=[0.0]", "budgets: 0.0: expected a fraction in (0, 1]"),
        ("budgets=[1.5]", "budgets: 1.5: expected a fraction in (0, 1]"),
        ("budgets=[5]", "budgets: 5: below protect_first + protect_recent = 12"),
        ("budgets=[0.5, 0.5]", "a budget is given twice"),
        ("budgets=[true]", "budgets"),
        ("protocols=[clok]", "protocols.0: 'clok': expected one of clock, prompt_end"),
        ("selection=rugged", "selection: 'rugged': expected one of ragged, layer_max"),
        ("dtype=float8", "dtype: 'float8'"),
        ("tasks={}", "tasks: {}: expected a mapping of labels to mappings, not empty"),
        ("model=''", "model: ''"),
        ("adapter=video", "adapter: unknown key"),
        ("bootstrap.level=1", "bootstrap.level: 1"),
    ],
)
def test_mistakes_name_path_value_and_expectation(minimal, change, message):
    line = refused(minimal, change)
    assert message in line
    assert str(minimal) in line


def test_several_mistakes_are_counted(minimal):
    assert "(and 1 more)" in refused(minimal, "update_every=0", "seed=-1")


def test_overrides_reach_into_labels(minimal):
    config = load_eval_config(minimal, ["tasks.keys.n=5", "policies.tova={policy: tova}", "policies.h2o.budget=0.3"])
    assert config.tasks["keys"]["n"] == 5
    assert config.policies == {"h2o": {"policy": "h2o", "budget": 0.3}, "tova": {"policy": "tova"}}


def test_null_removes(minimal):
    config = load_eval_config(minimal, ["policies.tova={policy: tova}", "policies.h2o=null"])
    assert list(config.policies) == ["tova"]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed", "expected path=value"),
        ("=3", "expected path=value"),
        ("a..b=3", "expected path=value"),
        ("seed.x=3", "seed is 1, which has no keys"),
        ("policies.h20=null", "nothing to remove at 'h20'; did you mean h2o?"),
        ("seed=[1", "not a YAML value"),
    ],
)
def test_bad_assignments(assignment, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        apply_overrides({"seed": 1, "policies": {"h2o": {}}}, [assignment])


def test_resolved_configuration_reads_back_equal(minimal, tmp_path):
    config = load_eval_config(minimal, ["budgets=[0.5, 64]", "bootstrap.seed=3"])
    saved = tmp_path / "saved.yaml"
    saved.write_text(to_yaml(config))
    assert load_eval_config(saved) == config
    assert set(yaml.safe_load(saved.read_text())) == set(EvalConfig.model_fields)


def test_digest_follows_what_changes_results(minimal):
    digest = evaluation_digest(load_eval_config(minimal))
    same = load_eval_config(
        minimal, ["workers=2", "bootstrap.seed=9", "output=elsewhere", "tasks.keys.n=9", "budgets=[0.3]"]
    )
    assert evaluation_digest(same) == digest
    for change in ("seed=1", "tasks.keys.length=[128]", "update_every=64"):
        assert evaluation_digest(load_eval_config(minimal, [change])) != digest


def test_configuration_is_frozen(minimal):
    with pytest.raises(ValueError, match="frozen"):
        load_eval_config(minimal).seed = 3


def test_every_key_has_help():
    rows = describe(EvalConfig)
    assert {"bootstrap.level", "update_every", "policies"} <= {row.path for row in rows}
    assert all(len(row.help) > 10 and row.type for row in rows)
