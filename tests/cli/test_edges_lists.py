"""Lists in words of people, whole on any terminal; files of another command and adapters without an example."""

import json
import re

import pytest

from namm_xmodal.adapters.table import ADAPTERS
from namm_xmodal.cli import console
from namm_xmodal.config import packaged_configs
from namm_xmodal.config.commands import COMMANDS, command_of
from namm_xmodal.config.loader import load_mapping

KINDS = (
    "policies",
    "tasks",
    "texts",
    "models",
    "benchmarks",
    "reductions",
    "samplers",
    "strategies",
    "adapters",
    "configs",
)
KEYS = {"eval": (), "evolve": ("--evolve",), "rollout": ("--rollout",), "video-qa": ("--video",)}
LISTS = [(kind,) for kind in KINDS] + [("configs", "--keys", *flags) for flags in KEYS.values()]
RAW = re.compile(
    r"Literal|FieldInfo|typing|NoneType|Annotated|Union|dict\[|tuple\[|metadata=|\bNone\b|\bTrue\b|\bFalse\b|<class"
)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("what", LISTS, ids=" ".join)
def test_nothing_is_lost_on_the_way_to_the_terminal(run, monkeypatch, what, width):
    rows = json.loads(run("list", *what, "--json").stdout)
    monkeypatch.setattr(console.console, "width", width)
    table = run("list", *what).stdout
    assert "…" not in table
    lines = [line for line in table.splitlines() if "│" in line or "┃" in line]
    assert max(map(len, lines)) <= width
    shown = "".join("".join(line[1:-1].split("│")[column].strip() for line in lines if "│" in line)
                    for column in range(lines[-1].count("│") - 1))  # fmt: skip
    shown = shown.replace(" ", "")
    for row in rows:
        fields = row["fields"]
        cells = [row["name"], row["about"], *(f"{k}:{v}" for k, v in fields.items() if len(fields) > 1)]
        for cell in cells:
            assert cell.replace(" ", "") in shown


@pytest.mark.parametrize("what", LISTS, ids=" ".join)
def test_values_and_types_are_in_words_and_yaml(run, what):
    for row in json.loads(run("list", *what, "--json").stdout):
        text = json.dumps(row["fields"])
        assert not RAW.search(text), (row["name"], text)
        assert row["about"]


@pytest.mark.parametrize("command", KEYS)
def test_keys_of_every_command(run, command):
    rows = {row["name"]: row for row in json.loads(run("list", "configs", "--keys", *KEYS[command], "--json").stdout)}
    top = {name.split(".")[0] for name in rows}
    assert top == set(COMMANDS[command].model_fields)
    assert "adapter" not in rows
    assert rows["update_every"]["fields"]["type"] == "a whole number, at least 1"


def test_limits_are_said(run):
    def types(*flags):
        return {
            row["name"]: row["fields"]["type"]
            for row in json.loads(run("list", "configs", "--keys", *flags, "--json").stdout)
        }

    assert types()["bootstrap.level"] == "a number between 0 and 1"
    assert types()["schedules"] == "one of streaming, post_prefill, or a list of such"
    assert types()["budgets"] == "a number, or a list of such"
    assert types()["model"] == "text, not empty"
    assert types("--evolve")["gradient.budget"] == "a number, above 0, at most 1"
    assert types("--evolve")["max_tokens"] == "a number, or null"
    assert types("--rollout")["references"] == "a list of 2, each a number, or null"
    assert types("--video")["loader.salvage"] == "true or false"


@pytest.mark.parametrize("flags", [("--evolve",), ("--keys", "--evolve", "--video"), ("--rollout",)], ids=" ".join)
def test_flags_that_would_be_ignored_are_refused(refused, flags):
    assert "expected --keys with at most one of" in refused("list", "configs", *flags)


def test_lists_name_what_ships(run):
    assert "namm-smollm2" in run("list", "policies").stdout
    models = {row["name"] for row in json.loads(run("list", "models", "--json").stdout)}
    assert {"smollm2-135m", "llava-small", "tmaze", "hopper-long"} <= models
    texts = {row["name"] for row in json.loads(run("list", "texts", "--json").stdout)}
    assert {"python-topics", "python-source"} <= texts


def test_every_shipped_file_is_of_the_command_of_its_folder(run):
    folders = {"language": "eval", "evolve": "evolve", "rl": "rollout", "video": "video-qa"}
    for row in json.loads(run("list", "configs", "--json").stdout):
        assert row["fields"] == {"command": f"namm-xmodal {folders[row['name'].split('/')[0]]}"}


@pytest.mark.parametrize("command", [*COMMANDS, "warm-start"])
@pytest.mark.parametrize("name", ["language/demo", "evolve/smoke", "rl/tmaze", "rl/demo", "video/smoke", "video/mlvu"])
def test_a_file_of_another_command_names_it(refused, tmp_path, command, name):
    own = command_of(load_mapping(packaged_configs()[name]))
    if own == {"warm-start": "evolve"}.get(command, command):
        return
    said = refused(command, name)
    assert said.endswith(f"{name}: is a file of another command; run `namm-xmodal {own} {name}`")


def test_a_file_that_leaves_the_rest_to_set_is_no_other_commands(run, tmp_path):
    """`policies` alone would do for video-qa."""
    path = tmp_path / "mine.yaml"
    path.write_text("policies: {full: {policy: full}}\n")
    rest = ("--set", "model=tiny-random", "--set", "tasks.keys={task: key_retrieval, n: 1}")
    assert "1 run (1 policy) x 1 sample of 1 task = 1 result in" in run("eval", path, "--dry-run", *rest).stdout


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_has_an_example(run, name):
    assert "keeps the contract of an adapter" in run("check", "adapter", name).stdout


def test_the_folder_of_a_benchmark_is_no_option(refused):
    assert "options.data: no option, but a key of its own: --set data=x" in refused(
        "video-qa", "video/mlvu", "--set", "options.data=x", "--dry-run"
    )


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        ("eval", "language/smoke", "x 4 samples of 1 task = "),
        ("rollout", "rl/tmaze", "x 1 episode of each model"),
        ("video-qa", "video/smoke", "x 1 question = "),
        ("evolve", "evolve/smoke", "1 generation of 8 members"),
    ],
)
def test_one_is_not_many(run, command, name, said):
    few = {
        "eval": ("tasks.next_token=null", "tasks.key_retrieval.n=4"),
        "rollout": ("episodes=1",),
        "video-qa": ("options.n=1",),
        "evolve": ("generations=1",),
    }
    options = [part for each in few[command] for part in ("--set", each)]
    assert said in " ".join(run(command, name, "--dry-run", *options).stdout.split())
