"""YAML in: extends, null, circles, duplicates, packaged names."""

from pathlib import Path

import pytest

from namm_xmodal.config import load_mapping, packaged_configs, resolve_config
from namm_xmodal.config.loader import merge, parse_value
from namm_xmodal.errors import ConfigError


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


def test_extending_file_wins_key_by_key(tmp_path):
    write(tmp_path, base="a: {x: 1, y: 2}\nb: [1, 2]\n", child="extends: base.yaml\na: {y: 3}\nb: [9]\n")
    assert load_mapping(tmp_path / "child.yaml") == {"a": {"x": 1, "y": 3}, "b": [9]}


def test_null_removes_an_inherited_key(tmp_path):
    write(tmp_path, base="a: {x: 1, y: 2}\n", child="extends: base.yaml\na: {y: null}\n")
    assert load_mapping(tmp_path / "child.yaml") == {"a": {"x": 1}}


def test_later_parents_win(tmp_path):
    write(tmp_path, one="a: 1\nb: 1\n", two="b: 2\n", child="extends: [one.yaml, two.yaml]\nc: 3\n")
    assert load_mapping(tmp_path / "child.yaml") == {"a": 1, "b": 2, "c": 3}


def test_circle_is_refused_with_its_members(tmp_path):
    write(tmp_path, a="extends: b.yaml\n", b="extends: a.yaml\n")
    with pytest.raises(ConfigError, match=r"extends itself \(a.yaml -> b.yaml -> a.yaml\)"):
        load_mapping(tmp_path / "a.yaml")


def test_a_file_that_is_extended_and_missing_is_told_with_the_file_that_names_it(tmp_path):
    write(tmp_path, child="extends: nope.yaml\n")
    with pytest.raises(ConfigError, match=r"^\S*child\.yaml: extends: nope\.yaml: no such file"):
        load_mapping(tmp_path / "child.yaml")


def test_extending_a_packaged_configuration(tmp_path):
    write(tmp_path, mine="extends: language/smoke\nlanguage: {seed: 7}\n")
    loaded = load_mapping(tmp_path / "mine.yaml")["language"]
    assert loaded["seed"] == 7
    assert loaded["model"] == "tiny-random"


@pytest.mark.parametrize(
    "name", ["language/smoke", "configs/language/smoke.yaml", "./configs/language/smoke.yaml", "language/smoke.yaml"]
)
def test_packaged_names_work_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert resolve_config(name) == packaged_configs()["language/smoke"]


def test_missing_file_names_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"language/smok: no such file.* did you mean language/smoke"):
        resolve_config("language/smok")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", r"key 'a' is given twice \(line 2"),
        ("a: [1\n", "not valid YAML"),
        ("- 1\n", "expected a mapping of `key: value` lines, found list"),
        ("extends: 3\n", "extends: 3: expected a path or a packaged name"),
        ("1: a\n", "key 1 is not a word"),
        ("a: !!python/object/apply:os.system ['echo hacked']\n", "not valid YAML"),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, message):
    write(tmp_path, bad=text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_mapping(tmp_path / "bad.yaml")
    assert "\n" not in str(caught.value)
    assert "bad.yaml" in str(caught.value)


def test_not_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_mapping(tmp_path / "a.yaml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        resolve_config(tmp_path)


def test_values_are_typed_as_in_a_file():
    assert parse_value("0.5") == 0.5
    assert parse_value("1e-3") == 1e-3
    assert parse_value("[1, 2]") == [1, 2]
    assert parse_value("true") is True
    assert parse_value("h2o") == "h2o"


def test_merge_leaves_its_arguments_alone():
    base, change = {"a": {"x": 1}}, {"a": {"y": 2}}
    assert merge(base, change) == {"a": {"x": 1, "y": 2}}
    assert base == {"a": {"x": 1}}
    assert change == {"a": {"y": 2}}
