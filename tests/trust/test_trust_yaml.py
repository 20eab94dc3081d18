"""YAML: plain values, bounded; what is sensible still works."""

import pytest

from namm_xmodal.config.loader import MOST_FILES, load_mapping, packaged_configs, parse_value
from namm_xmodal.errors import ConfigError
from namm_xmodal.trust.yaml_text import DEEPEST, MOST_NODES, parse_yaml


def test_anchors_and_merges_work():
    text = "base: &base {a: 1, b: [x, y]}\nother: {<<: *base, a: 2}\nagain: [*base, *base]\nrate: 1e-3\n"
    found = parse_yaml(text)
    assert found["other"] == {"a": 2, "b": ["x", "y"]}
    assert found["again"] == [found["base"], found["base"]]
    assert found["rate"] == 0.001


def test_bounds_are_where_they_are_said_to_be():
    assert len(parse_yaml("[" + "1," * (MOST_NODES - 2) + "1]")) == MOST_NODES - 1
    with pytest.raises(ValueError, match=r"more than 20,000 keys and values, aliases unfolded \(line 1, column"):
        parse_yaml("[" + "1," * MOST_NODES + "1]")
    assert parse_yaml("[" * (DEEPEST - 1) + "1" + "]" * (DEEPEST - 1))
    with pytest.raises(ValueError, match="more than 32 lists and mappings within one another"):
        parse_yaml("[" * DEEPEST + "1" + "]" * DEEPEST)
    wide = f"a: &a [{', '.join('x' * 99)}]\nb: [{', '.join(['*a'] * 198)}]"
    assert len(parse_yaml(wide)["b"]) == 198
    with pytest.raises(ValueError, match="aliases unfolded"):
        parse_yaml(wide.replace("b: [", "b: [*a, *a, "))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &a {b: *a}", "an alias stands inside what it names"),
        ("a: *b", "found undefined alias"),
        ("a: 1\na: 2", "key 'a' is given twice"),
        ("1: a", "key 1 is not a word"),
        ("a: 2001-99-99", "month must be in 1..12; quote it"),
        ("a: 0x" + "f" * 9000 + "\nb: " + "9" * 9000, "Exceeds the limit"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: \x1b[31m", "special characters are not allowed"),
        ("{a: 1", "expected ',' or '}'"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_place(text, said):
    with pytest.raises(ValueError, match=said) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_values_on_the_command_line_have_the_same_bounds():
    assert parse_value("[1, {a: b}]") == [1, {"a": "b"}]
    with pytest.raises(ConfigError, match="not a YAML value: more than 32 lists"):
        parse_value("[" * 100)


def test_chains_of_files_are_bounded_and_those_that_ship_are_far_from_it(tmp_path):
    for number in range(MOST_FILES):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\nk{number}: 1\n")
    (tmp_path / f"{MOST_FILES - 1}.yaml").write_text("last: 1\n")
    assert len(load_mapping(tmp_path / "0.yaml")) == MOST_FILES
    (tmp_path / f"{MOST_FILES - 1}.yaml").write_text(f"extends: {MOST_FILES}.yaml\n")
    (tmp_path / f"{MOST_FILES}.yaml").write_text("last: 1\n")
    with pytest.raises(ConfigError, match=r"0.yaml: extends more than 32 files"):
        load_mapping(tmp_path / "0.yaml")
    for path in packaged_configs().values():
        assert load_mapping(path)
