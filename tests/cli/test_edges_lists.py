"""Lists in words of people, whole on any terminal; files of another command and adapters without an example."""

import json
import re

import pytest

from namm_xmodal.adapters.table import ADAPTERS
from namm_xmodal.cli import console
from namm_xmodal.cli.listing import first_comment
from namm_xmodal.config import EvolveConfig, RunConfig, Section, packaged_configs
from namm_xmodal.config.commands import command_of
from namm_xmodal.config.loader import load_mapping
from namm_xmodal.modalities.table import MODALITIES

KINDS = (
    "metrics",
    "policies",
    "channels",
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
KEYS = {"eval": (), "evolve": ("--evolve",), "train": ("--train",)}
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


def test_metrics_name_the_tasks_that_they_are_first_of(run):
    fields = {row["name"]: row["fields"] for row in json.loads(run("list", "metrics", "--json").stdout)}
    assert fields["token_probability"] == {"better": "higher", "first of": "next_token"}
    assert fields["negative_log_likelihood"] == {"better": "lower"}


@pytest.mark.parametrize("what", LISTS, ids=" ".join)
def test_values_and_types_are_in_words_and_yaml(run, what):
    for row in json.loads(run("list", *what, "--json").stdout):
        text = json.dumps(row["fields"])
        assert not RAW.search(text), (row["name"], text)
        assert row["about"]


def keys(run, *flags):
    return {row["name"]: row["fields"] for row in json.loads(run("list", "configs", "--keys", *flags, "--json").stdout)}


def test_keys_of_an_evolution(run):
    assert {name.split(".")[0] for name in keys(run, "--evolve")} == set(EvolveConfig.model_fields)


def test_keys_of_an_evaluation_stand_once_where_they_are_shared(run):
    found = keys(run)
    assert {name.split(".")[0] for name, each in found.items() if each.get("place") == "at the top"} == set(
        RunConfig.model_fields
    )
    shared = {name for name, each in found.items() if each.get("place") == "in a section, or at the top for all"}
    assert shared == set(Section.model_fields)
    for name, modality in MODALITIES.items():
        own = {each.split(".")[1] for each in found if each.startswith(f"{name}.")}
        assert own | shared == set(modality.section.model_fields)
    assert "language.update_every" not in found
    assert (found["update_every"]["default"], found["rl.update_every"]["default"]) == ("256", "48")
    assert not any("adapter" in name for name in found)


def test_limits_are_said(run):
    types = {name: each["type"] for flags in KEYS.values() for name, each in keys(run, *flags).items()}
    assert types["bootstrap.level"] == "a number between 0 and 1"
    assert types["update_every"] == "a whole number, at least 1"
    assert types["language.schedules"] == "one of streaming, post_context, post_prefill, or a list of such"
    assert types["budgets"] == "a number, or a list of such"
    assert types["model"] == "text, not empty"
    assert types["gradient.budget"] == "a number, above 0, at most 1"
    assert types["max_tokens"] == "a number, or null"
    assert types["rl.references"] == "a list of 2, each a number, or null"
    assert types["video.loader.salvage"] == "true or false"


def test_a_flag_that_would_be_ignored_is_refused(refused):
    assert "--evolve: only works with --keys" in refused("list", "configs", "--evolve")


def test_lists_name_what_ships(run):
    assert "namm-smollm2" in run("list", "policies").stdout
    models = {row["name"] for row in json.loads(run("list", "models", "--json").stdout)}
    assert {"smollm2-135m", "llava-small", "tmaze", "hopper-long"} <= models
    texts = {row["name"] for row in json.loads(run("list", "texts", "--json").stdout)}
    assert {"python-topics", "python-source"} <= texts


def test_every_shipped_file_is_of_the_command_of_its_folder(run):
    for row in json.loads(run("list", "configs", "--json").stdout):
        room = row["name"].partition("/")[0]
        command = {"evolve": "evolve", "train": "train", "shares": "head-shares"}.get(room, "eval")
        assert row["fields"] == {"command": f"namm-xmodal {command}"}


@pytest.mark.parametrize("command", ["eval", "rollout", "video-qa", "evolve", "warm-start"])
@pytest.mark.parametrize("name", ["language/demo", "evolve/smoke", "rl/tmaze", "video/smoke", "transfer/offline"])
def test_a_file_of_another_command_names_it(refused, command, name):
    own = command_of(load_mapping(packaged_configs()[name]))
    section = {"rollout": "rl", "video-qa": "video"}.get(command)
    if own == {"warm-start": "evolve"}.get(command, command if section is None else "eval"):
        if section and section not in name and "transfer" not in name:
            assert f"section {section}: missing; `namm-xmodal {command}` runs only this section" in refused(
                command, name
            )
        return
    said = refused(command, name)
    assert said.endswith(f"{name}: is a file for another command; run `namm-xmodal {own} {name}`")


def test_a_file_that_leaves_the_rest_to_set_is_no_other_commands(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("policies: {full: {policy: full}}\n")
    rest = ("--set", "language.model=tiny-random", "--set", "language.tasks.keys={task: key_retrieval, n: 1}")
    assert "1 arm (1 policy) x 1 item = 1 result in" in run("eval", path, "--dry-run", *rest).stdout


@pytest.mark.parametrize("name", ADAPTERS)
def test_every_adapter_has_an_example(run, name):
    assert "passes the adapter contract checks" in run("check", "adapter", name).stdout


def test_the_folder_of_a_benchmark_is_no_option(refused):
    assert "options.data: is not an option but a separate key; use --set video.data=x" in refused(
        "video-qa", "video/mlvu", "--set", "video.options.data=x", "--dry-run"
    )


@pytest.mark.parametrize(
    ("command", "name", "said"),
    [
        ("eval", "language/smoke", "x 4 items = "),
        ("rollout", "rl/tmaze", " policies) x 1 item = "),
        ("video-qa", "video/smoke", "x 1 item = "),
        ("evolve", "evolve/smoke", "1 generation of 8 members"),
    ],
)
def test_one_is_not_many(run, command, name, said):
    few = {
        "eval": ("language.tasks.next_token=null", "language.tasks.key_retrieval.n=4"),
        "rollout": ("rl.episodes=1", "rl.model_seeds=0"),
        "video-qa": ("video.options.n=1",),
        "evolve": ("generations=1",),
    }
    options = [part for each in few[command] for part in ("--set", each)]
    assert said in " ".join(run(command, name, "--dry-run", *options).stdout.split())


def test_descriptions_of_configurations_hold_no_command():
    text = "# Where do facts\n# survive a text?\n#\n#   namm-xmodal eval language/x    # ten minutes\n#\n# Every key.\n"
    assert first_comment(text) == "Where do facts survive a text?"
    assert first_comment("# One run. Of many.\nseed: 1\n") == "One run"
