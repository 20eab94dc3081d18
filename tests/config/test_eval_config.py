"""The evaluation file: closed keys, ranges, overrides, the digest."""

import math

import pytest
import yaml
from evaluations import load, plan_of

from namm_xmodal.config import RunConfig, describe
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.errors import ConfigError
from namm_xmodal.modalities.table import MODALITIES

MINIMAL = """
language:
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
        load(path, None, *changes)
    line = str(caught.value)
    assert "\n" not in line
    return line


def language(path, *changes):
    return load(path, None, *(f"language.{each}" for each in changes)).sections["language"]


def test_defaults_are_filled_in(minimal):
    section = language(minimal)
    assert (section.update_every, section.schedules, section.budgets) == (256, ("streaming",), (0.5, 0.25))
    assert load(minimal, None).run.output == "results/minimal"


def test_output_argument_wins(minimal):
    assert load(minimal, "b", "output=a").run.output == "b"


def test_one_value_where_a_list_is_expected(minimal):
    section = language(minimal, "schedules=post_prefill", "budgets=64", "scoring=generate")
    assert (section.schedules, section.budgets, section.scoring) == (("post_prefill",), (64,), ("generate",))
    assert load("video/smoke", None, "video.budgets=0.3").sections["video"].budgets == (0.3,)


def test_a_shared_key_holds_for_all_sections_that_give_none_of_their_own(minimal):
    maze = "rl={model: tmaze, update_every: 48}"
    config = load(minimal, None, "update_every=64", "seed=3", "policies.full={policy: full}", maze)
    assert [section.update_every for section in config.sections.values()] == [64, 48]
    assert [section.seed for section in config.sections.values()] == [3, 3]
    assert [list(section.policies) for section in config.sections.values()] == [["full", "h2o"], ["full"]]


def test_a_shared_key_that_no_section_takes_is_refused(minimal):
    line = refused(minimal, "seed=3", "language.seed=4")
    assert "seed: no section uses it, since each gives its own; set language.seed" in line


def test_a_file_from_before_sections_is_refused_with_the_reason(minimal):
    minimal.write_text("adapter: language\nmodel: tiny-random\ntasks: {keys: {task: key_retrieval, n: 2}}\n")
    line = refused(minimal)
    assert "tasks: expected in its section, as language.tasks (files from before version 0.2" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("language.updat_every=64", "updat_every: unknown key; did you mean update_every?"),
        ("language.sed=null", "sed: unknown key; did you mean seed?"),
        ("bootstrap.resample=100", "bootstrap.resample: unknown key; did you mean resamples?"),
        ("language.update_every=0", "update_every: 0: expected a whole number, at least 1"),
        ("language.update_every=often", "update_every: 'often': expected a whole number"),
        ("language.budgets=[0]", "budgets: 0: expected at least 1 token, or a fraction in (0, 1] such as 0.5"),
        ("language.budgets=[0.0]", "budgets: 0.0: expected a fraction in (0, 1]"),
        ("language.budgets=[1.5]", "budgets: 1.5: expected a fraction in (0, 1]"),
        ("language.budgets=[5]", "budgets: 5: below protect_first + protect_recent = 12"),
        ("language.budgets=[0.5, 0.5]", "contains a budget twice"),
        ("language.budgets=[true]", "budgets"),
        ("language.schedules=[clok]", "schedules.0: 'clok': expected one of streaming, post_context, post_prefill"),
        ("language.selection=rugged", "selection: 'rugged': expected one of ragged, layer_max"),
        ("langage.seed=1", "langage: unknown key or section; did you mean language?"),
        ("workers=0", "workers: 0: expected a whole number, at least 1"),
        ("language.dtype=float8", "dtype: 'float8'"),
        ("language.tasks={}", "tasks: missing; expected tasks, or suite: a name of `namm-xmodal list suites`"),
        ("language.model=''", "model: ''"),
        ("language.adapter=video", "adapter: unknown key"),
        ("bootstrap.level=1", "bootstrap.level: 1"),
    ],
)
def test_mistakes_name_path_value_and_expectation(minimal, change, message):
    line = refused(minimal, change)
    assert message in line
    assert str(minimal) in line


def test_several_mistakes_are_counted(minimal):
    assert "(and 1 more)" in refused(minimal, "language.update_every=0", "language.seed=-1")


def test_overrides_reach_into_labels(minimal):
    section = language(minimal, "tasks.keys.n=5", "policies.tova={policy: tova}", "policies.h2o.budget=0.3")
    assert section.tasks["keys"]["n"] == 5
    assert section.policies == {"h2o": {"policy": "h2o", "budget": 0.3}, "tova": {"policy": "tova"}}


def test_null_removes(minimal):
    assert list(language(minimal, "policies.tova={policy: tova}", "policies.h2o=null").policies) == ["tova"]
    both = load(minimal, None, "rl={model: tmaze, policies: {full: {policy: full}}}", "language=null")
    assert list(both.sections) == ["rl"]


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
    config = load(minimal, None, "language.budgets=[0.5, 64]", "bootstrap.seed=3", "rl={model: tmaze, fit: estimated}",
                  "policies.full={policy: full}",
                  "policies.top={policy: namm, path: namm-smollm2, threshold: -.inf, budget: [0.5]}")  # fmt: skip
    saved = tmp_path / "saved.yaml"
    saved.write_text(config.to_yaml())
    again = load(saved, None)
    assert again == config
    assert again.sections["language"].policies["top"]["threshold"] == -math.inf  # null would be the policy's own
    assert set(yaml.safe_load(saved.read_text())) == {"language", "rl", *RunConfig.model_fields}


def test_digest_follows_what_changes_results(minimal):
    def digest(*changes):
        (section,) = plan_of(load(minimal, None, *changes))
        return section.digest

    same = ("workers=2", "bootstrap.seed=9", "output=elsewhere", "language.tasks.keys.n=9", "language.budgets=[0.3]")
    assert digest(*same, "language.threads=2", "language.fit=estimated") == digest()
    for change in ("seed=1", "language.tasks.keys.length=[128]", "language.update_every=64"):
        assert digest(change) != digest()


def test_configuration_is_frozen(minimal):
    with pytest.raises(ValueError, match="frozen"):
        language(minimal).seed = 3


@pytest.mark.parametrize("kind", [RunConfig, *(each.section for each in MODALITIES.values())])
def test_every_key_has_help(kind):
    rows = describe(kind)
    assert len(rows) > 3
    assert all(len(row.help) > 10 and row.type for row in rows)
