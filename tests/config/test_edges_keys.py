"""Keys that nothing reads, removals that remove, and messages in words instead of pydantic's."""

import pytest
from evaluations import load
from pydantic import BaseModel

from namm_xmodal.config import build_policy
from namm_xmodal.config.evolve import load_evolve_config
from namm_xmodal.config.loader import load_mapping, merge
from namm_xmodal.errors import ConfigError

SECTIONS = {"language/smoke": "language", "rl/tmaze": "rl", "video/smoke": "video"}
FILES = (*SECTIONS, "evolve/smoke")


def read(name, *changes):
    """The section of a file, with changes to it; all of an evolution."""
    if name == "evolve/smoke":
        return load_evolve_config(name, changes)
    return load(name, None, *(f"{SECTIONS[name]}.{change}" for change in changes)).sections[SECTIONS[name]]


def said(name, *changes):
    with pytest.raises(ConfigError) as caught:
        read(name, *changes)
    return str(caught.value)


# ------------------------------------------------------------------ a key of earlier versions
@pytest.mark.parametrize("name", FILES)
def test_an_adapter_is_an_unknown_key(name):
    assert "adapter: unknown key" in said(name, "adapter=language")


# ------------------------------------------------------------------ removals
@pytest.mark.parametrize("name", FILES)
def test_an_empty_mapping_empties(name):
    content = load_mapping(name)
    content = content.get(SECTIONS.get(name), content)
    for key, value in content.items():
        if isinstance(value, dict):
            assert merge(content, {key: {}})[key] == {}


def test_an_empty_mapping_that_may_not_be_empty_is_refused():
    expected = "expected a mapping of labels to mappings, not empty"
    assert f"policies: {{}}: {expected}" in said("language/smoke", "policies={}")
    assert "tasks: none, and no source under agree; expected" in said("evolve/smoke", "tasks={}")
    assert read("video/smoke", "reductions={}").reductions == {}
    assert load_evolve_config("evolve/smollm2", ["held_out={}"]).held_out == {}


def test_an_extending_file_may_empty_too(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: video/smoke\nvideo: {reductions: {}, policies: {full: {policy: full}, h2o: null}}\n")
    section = load(path, None).sections["video"]
    assert section.reductions == {}
    assert "h2o" not in section.policies


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("evolve/smoke", "max_tokens=null"),
        ("evolve/smoke", "statistics.path=null"),
        ("rl/tmaze", "within=null"),
        ("video/smoke", "limit=null"),
        ("language/smoke", "update_every=null"),
    ],
)
def test_null_is_what_the_keys_say_it_is(name, change):
    read(name, change)


def test_removing_a_label_that_is_not_there_names_the_nearest():
    assert "nothing to remove at 'h2'; did you mean h2o?" in said("language/smoke", "policies.h2=null")
    assert "language: polices: unknown key; did you mean policies?" in said("language/smoke", "polices=null")


# ------------------------------------------------------------------ words
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("language/smoke", "budgets=[half]", "budgets.0: 'half': expected a number; Cache sizes"),
        (
            "language/smoke",
            "update_every=1.5",
            "update_every: 1.5: expected a whole number, at least 1; Tokens between",
        ),
        ("language/smoke", "update_every=true", "update_every: True: expected a whole number, at least 1"),
        ("evolve/smoke", "max_tokens=true", "max_tokens: True: expected a number, or null"),
        ("rl/tmaze", "model_seeds=true", "model_seeds: True: expected a whole number, or a list of such, or null"),
        ("language/smoke", "tasks.x=3", "tasks.x: 3: expected a mapping; Label"),
        (
            "language/smoke",
            "schedules=[]",
            "schedules: []: expected one of streaming, post_context, post_prefill, or a list of such",
        ),
        ("language/smoke", "model=''", "model: '': expected text, not empty"),
        ("evolve/smoke", "max_tokens=x", "max_tokens: 'x': expected a number, or null; Maximum number"),
        ("evolve/smoke", "threshold=.inf", "threshold: inf: expected a number, finite"),
        ("evolve/smoke", "ema_coefficient=1", "ema_coefficient: 1: expected a number between 0 and 1"),
        ("rl/tmaze", "references=[1]", "references: [1]: expected a list of 2, each a number, or null"),
        ("rl/tmaze", "model_seeds=[-1]", "model_seeds: -1: expected a whole number, or a list of such, or null"),
        ("rl/tmaze", "survivors=3", "survivors: 3: expected true or false"),
        ("video/smoke", "budgets=[half]", "budgets.0: 'half': expected a number; Cache sizes"),
        ("video/smoke", "loader.workers=-1", "loader.workers: -1: expected a whole number, at least 0"),
    ],
)
def test_messages_are_in_words(name, change, message):
    line = said(name, change)
    place = f"{name}: {SECTIONS[name]}" if name in SECTIONS else name
    assert line.startswith(f"{place}: {message}")
    for raw in ("input should", "validation", "dictionary", "tuple", "instance of"):
        assert raw not in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("bootstrap.level=true", "bootstrap.level: True: expected a number between 0 and 1"),
        ("bootstrap=3", "bootstrap: 3: expected a mapping; How intervals are drawn"),
        ("workers=many", "workers: 'many': expected a whole number, at least 1; Number of local processes"),
    ],
)
def test_and_so_are_those_about_the_whole_file(change, message):
    with pytest.raises(ConfigError) as caught:
        load("language/smoke", None, change)
    assert str(caught.value).startswith(f"language/smoke: {message}")


def test_fields_of_policies_too():
    with pytest.raises(ConfigError, match=r"^x\.budget: 'half': expected a number$"):
        build_policy({"policy": "h2o", "budget": "half"}, "x")
    with pytest.raises(ConfigError, match=r"^x\.statistics: 'guessed': expected one of frozen, estimated$"):
        build_policy({"policy": "namm", "init": "zeros", "statistics": "guessed"}, "x")


# ------------------------------------------------------------------ keys of a NAMM that would not be read
@pytest.mark.parametrize("field", [{"sigma": 0.1}, {"seed": 3}, {"scorer": "mlp"}])
def test_what_only_an_untrained_policy_reads(field):
    ((key, _),) = field.items()
    with pytest.raises(ConfigError, match=rf"^x\.{key}: only applies to an untrained one: init, which is not given"):
        build_policy({"policy": "namm", "path": "namm-smollm2", **field}, "x")
    build_policy({"policy": "namm", "init": "random", **field}, "x")


def test_what_only_a_saved_policy_reads():
    with pytest.raises(ConfigError, match=r"^x\.revision: only applies to an evolved one: path"):
        build_policy({"policy": "namm", "init": "zeros", "revision": "main"}, "x")


def test_ctrl_c_while_a_configuration_is_written_stays_one():
    """Pydantic makes an error of its own of any exception inside a serializer, so no configuration has one."""

    def below(kind):
        return [kind, *(each for child in kind.__subclasses__() for each in below(child))]

    ours = [kind for kind in below(BaseModel) if kind.__module__.startswith("namm_xmodal.")]
    assert len(ours) > 20
    for kind in ours:
        assert not kind.__pydantic_decorators__.field_serializers and not kind.__pydantic_decorators__.model_serializers
