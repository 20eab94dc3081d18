"""Results that travel: Parquet files with all that the journal says, and a card that the Hub reads."""

import json
import sys
from dataclasses import replace

import pandas
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard
from made_records import made_plan, made_records
from pyarrow import parquet
from typer.testing import CliRunner

from namm_xmodal.cli.app import app
from namm_xmodal.evaluation.results_folder import open_results
from namm_xmodal.modalities.table import MODALITIES

MAPPINGS = ("tags", "scores", "kept", "seconds", "facts", "model", "versions", "hardware")


@pytest.fixture(autouse=True)
def no_models(monkeypatch):
    for name in ("language", "video", "rl"):
        monkeypatch.setattr(MODALITIES[name], "exhibits", lambda section, arms: [])


def call(*arguments, code=0):
    done = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120", "NO_COLOR": "1"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.stderr.strip()


def journal(folder):
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()[1:]]
    return [line for line in lines if "settings_of" not in line]


def odd(record):
    """Tags of several kinds, a list, text that is not ASCII."""
    number = record.number
    return replace(
        record,
        tags={"length": 512 + number, "depth": 0.5 * number, "kind": "a" if number % 2 else 3},
        text="naïve | text\n" * (number % 2),
        hardware={"processor": "A CPU", "cores": "2"},
        model={**record.model, "end_of_text": [257, 3]},
    )


def test_both_files_say_what_the_journal_and_the_summary_say(folder):
    place = folder("a", keep=lambda each: each.number < 11)
    call("report", place, "--parquet")
    table = parquet.read_table(place / "results.parquet")
    rows = {(row["section"], row["item"], row["policy"], row["size"]): row for row in table.to_pylist()}
    lines = journal(place)
    assert len(rows) == len(lines) == table.num_rows
    for line in lines:
        row = rows[line["section"], line["item"], line["policy"], line["size"]]
        for name, value in line.items():
            if name in MAPPINGS:
                own = {key: each for key, each in row.items() if key.startswith(f"{name}.") and each is not None}
                assert own == {f"{name}.{key}": each for key, each in value.items() if each is not None}
            elif name == "budget":
                assert row["budget_tokens" if isinstance(value, int) else "budget_fraction"] == value
                assert value is None or None in (row["budget_tokens"], row["budget_fraction"])
            else:
                assert row[name] == value
    frame = pandas.read_parquet(place / "results.parquet")
    mean = frame[frame.policy == "full"].groupby("task")["scores.answer_probability"].mean()["keys"]
    found = {
        row["task"]: row for row in json.loads((place / "summary.json").read_text())["rows"] if row["size"] == "full"
    }
    assert mean == pytest.approx(found["keys"]["cells"][0]["score"]["value"])

    estimates = parquet.read_table(place / "estimates.parquet").to_pylist()
    shown = json.loads((place / "summary.json").read_text())["rows"]
    assert len([each for each in estimates if each["tag"] is None]) == sum(len(row["cells"]) for row in shown)
    by_arm = {(e["task"], e["policy"], e["size"], e["metric"]): e for e in estimates if e["tag"] is None}
    for row in shown:
        for cell in row["cells"]:
            found = by_arm[row["task"], row["policy"], row["size"], cell["metric"]]
            assert {key: found[key] for key in ("value", "low", "high", "n", "level", "resamples", "seed")} == {
                key: cell["score"][key] for key in ("value", "low", "high", "n", "level", "resamples", "seed")
            }
            pair = cell["difference_to_full"] or dict.fromkeys(("value", "low", "high", "n"))
            assert all(found[f"difference_to_full.{key}"] == pair[key] for key in ("value", "low", "high", "n"))
            assert found["kept.fraction"] == row["kept"]["fraction"] and found["digest"]


def test_odd_values_come_back(folder):
    policies = {name: {"policy": name} for name in ("full", "keydiff")}
    place = folder("a", keep=lambda each: each.number < 3, change=odd, budgets=[0.5, 0.25, 64], policies=policies)
    call("report", place, "--parquet")
    table = parquet.read_table(place / "results.parquet")
    by_item = {(row["item"], row["policy"], row["size"]): row for row in table.to_pylist()}
    for line in journal(place):
        row = by_item[line["item"], line["policy"], line["size"]]
        assert row["budget_tokens"] == (line["budget"] if isinstance(line["budget"], int) else None)
        assert json.loads(row["tags.kind"]) == line["tags"]["kind"]  # texts and numbers: JSON
        assert (row["tags.length"], row["tags.depth"]) == (line["tags"]["length"], line["tags"]["depth"])
        assert row["text"] == line["text"] and row["hardware.processor"] == "A CPU"
        assert json.loads(row["model.end_of_text"]) == [257, 3]
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["tags.length"] == "int64" and kinds["tags.depth"] == "double" and kinds["budget_tokens"] == "int64"


def test_the_card_is_read_by_the_hub(folder):
    place = folder("a")
    call("report", place, "--parquet", "--card")
    text = (place / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n# namm-xmodal ")
    head = yaml.safe_load(text.split("---\n")[1])
    assert {each["config_name"]: each["data_files"] for each in head["configs"]} == {
        "results": "results.parquet",
        "estimates": "estimates.parquet",
    }
    assert DatasetCard(text).data.size_categories == ["n<1K"]
    results = ModelCard(text).data.eval_results
    shown = json.loads((place / "summary.json").read_text())["rows"]
    expected = [
        (row["task"], cell["metric"], cell["score"]["value"], row["policy"], row["size"], cell["score"]["n"])
        for row in shown
        for cell in row["cells"]
        if cell["headline"]
    ]
    found = [
        (
            e.dataset_type,
            e.metric_type,
            e.metric_value,
            e.metric_args["policy"],
            e.metric_args["size"],
            e.metric_args["n"],
        )
        for e in results
    ]
    assert sorted(found) == sorted(expected)
    assert {each.task_type for each in results} == {"text-generation"}
    (row,) = [row for row in shown if row["task"] == "keys" and row["policy"] == "random" and row["size"] == "25%"]
    score = row["cells"][0]["score"]
    (line,) = [line for line in text.splitlines() if line.startswith("| random | 25% | streaming |")][:1]
    assert f"{score['value']:.2f} [{score['low']:.2f}, {score['high']:.2f}] | {score['n']} |" in line
    assert r"\* |" in line  # marked
    for words in ("100 resamples", "--output a`", "torch 2", "Seeds of sections: 0.", "2026-01-01", "not recorded"):
        assert words in text, words
    again = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert again["language"]["tasks"]["keys"]["n"] == 12


def test_what_was_written_before_is_never_of_older_results(folder):
    place = folder("a", keep=lambda each: each.number < 5)
    call("report", place)
    assert not (place / "README.md").exists() and not (place / "results.parquet").exists()
    call("report", place, "--parquet", "--card")
    assert parquet.read_metadata(place / "results.parquet").num_rows < 216
    folder("a", keep=lambda each: each.number >= 5)
    call("report", place)
    assert parquet.read_metadata(place / "results.parquet").num_rows == 216
    assert "216 results of" in (place / "README.md").read_text()


@pytest.mark.parametrize("option", ["--card", "--parquet"])
def test_nothing_of_the_users_is_overwritten(folder, option):
    place = folder("a")
    own = place / ("README.md" if option == "--card" else "estimates.parquet")
    own.write_text("my notes")
    if option == "--parquet":  # what was made of ours is not ours any more
        call("report", folder("b"), "--parquet")
        pandas.read_parquet(place.parent / "b" / "results.parquet").to_parquet(own)
    mine = own.read_bytes()
    said = call("report", place, option, code=2)
    assert said.startswith(f"namm-xmodal: {option}: {own} already exists and was not written by namm-xmodal")
    call("report", place)  # without the option the file is left alone
    assert own.read_bytes() == mine


def test_bad_input_is_one_line(folder, tmp_path, monkeypatch):
    said = call("report", tmp_path, "--card", code=2)
    assert said == (
        f"namm-xmodal: {tmp_path}: contains no results.jsonl and config.yaml; expected a folder written by "
        "`namm-xmodal eval`"
    )
    place = folder("a")
    call("report", place, "--parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    said = call("report", place, "--parquet", code=2)
    assert said == ("namm-xmodal: report --parquet needs an optional dependency: pip install 'namm-xmodal[parquet]'")
    said = call("report", place)
    assert "results.parquet: belongs to earlier results: " in " ".join(said.split())


def test_all_modalities_have_a_table(tmp_path):
    config, plan = made_plan(tmp_path / "all", bootstrap={"resamples": 100})
    with open_results(config, plan, fresh=False, notice=print) as file:
        for each in made_records(plan):
            file.append(each)
    call("report", tmp_path / "all", "--parquet", "--card")
    table = parquet.read_table(tmp_path / "all" / "results.parquet")
    assert set(table.column("section").to_pylist()) == {"language", "video", "rl"}
    found = ModelCard((tmp_path / "all" / "README.md").read_text()).data.eval_results
    assert {each.task_type for each in found} == {"text-generation", "video-text-to-text", "reinforcement-learning"}
