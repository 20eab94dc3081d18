"""Every command does what its help says."""

import json
import platform
from importlib.metadata import version

import pytest

FEW = ("language.tasks.next_token=null", "language.tasks.key_retrieval.n=1", "language.budgets=0.5")
FEW = [part for each in FEW for part in ("--set", each)]


def test_eval_prints_a_table_and_writes_everything(run, tmp_path):
    result = run("eval", "language/smoke", "--output", tmp_path / "out", *FEW)
    for word in ("key_retrieval", "answer_probability", "h2o", "snapkv", "namm", "n = 1", "50%"):
        assert word in result.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        ".namm-xmodal.json", "results.jsonl", "summary.json", "table.txt", "config.yaml", "exhibits.json", "report"
    }  # fmt: skip
    assert f"open {tmp_path / 'out' / 'report' / 'index.html'}" in result.stdout


def test_dry_run_lists_runs_and_writes_nothing(run, tmp_path):
    result = run("eval", "language/smollm2", "--dry-run", "--output", tmp_path / "out")
    assert "  namm_untrained: 25%, schedule streaming: Namm(" in result.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("policies", {"h2o", "snapkv", "full", "namm", "adakv"}),
        ("channels", {"spectrogram", "key_novelty", "relative_age"}),
        ("tasks", {"key_retrieval", "next_token", "code_completion"}),
        ("adapters", {"language"}),
        ("models", {"smollm2-135m", "tiny-random"}),
        ("configs", {"language/smollm2", "language/demo", "language/smoke"}),
    ],
)
def test_lists(run, what, expected):
    rows = json.loads(run("list", what, "--json").stdout)
    assert expected <= {row["name"] for row in rows}
    assert all(len(row["about"]) > 10 for row in rows)
    table = run("list", what).stdout
    assert all(name in table for name in expected)


def test_keys_of_an_evaluation_file(run):
    rows = {row["name"]: row for row in json.loads(run("list", "configs", "--keys", "--json").stdout)}
    assert rows["update_every"]["fields"]["default"] == "256"
    assert rows["rl.update_every"]["fields"]["default"] == "48"


def test_inspect_from_standard_input(run, tmp_path):
    picture = tmp_path / "picture.png"
    result = run(
        "inspect", "--model", "tiny-random", "--policy", "streaming_llm", "--budget", "16", "--text", "-",
        "--update-every", "32", "--output", picture, stdin="What is kept of this? " * 6,
    )  # fmt: skip
    assert "keeps" in result.stdout
    assert picture.stat().st_size > 5000
    content = json.loads(picture.with_suffix(".json").read_text())
    assert len(content["tokens"]) == 132
    assert content["updates"] == [32, 64, 96, 128]


def test_inspect_the_full_cache(run, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("word " * 20)
    result = run(
        "inspect", "--model", "tiny-random", "--policy", "full", "--text", text, "--output", tmp_path / "a.svg"
    )
    assert "keeps 100.0% of 100 tokens" in result.stdout


def test_check(run):
    assert "passes the policy contract" in run("check", "policy", "tova", "budget=0.5").stdout
    assert "passes the adapter contract" in run("check", "adapter", "language").stdout


def test_prepare(run):
    result = run("prepare", "language", "--model", "tiny-random", "--texts", "python-topics")
    assert "python-topics" in result.stdout
    assert "LanguageModel('tiny-random'" in result.stdout


def test_help_of_every_command_has_an_example(run):
    for command in ("eval", "inspect", "list", "check", "prepare", "check policy", "check adapter", "prepare language"):
        assert "Example: namm-xmodal" in " ".join(run(*command.split(), "--help").stdout.replace("│", " ").split()), (
            command
        )


def test_version_says_what_a_bug_report_needs(run):
    own, machine, libraries = run("--version").stdout.splitlines()
    assert own == f"namm-xmodal {version('namm-xmodal')}"
    assert machine.startswith(f"Python {platform.python_version()}, ")
    for name in ("torch", "transformers", "numpy"):
        assert f"{name} {version(name)}" in libraries


@pytest.mark.parametrize("beyond", ["hold", "last"])
def test_calibrate_saves_a_policy_that_keeps_what_was_asked_for(run, tmp_path, beyond):
    result = run(
        "calibrate", "namm-smollm2", "--model", "tiny-random", "--statistics", "estimated", "--budget", "0.4",
        "--floor", "0", "--length", "256", "--count", "2", "--update-every", "64", "--output", tmp_path / "policy",
        *([] if beyond == "hold" else ["--beyond", beyond]),
    )  # fmt: skip
    words = " ".join(result.stdout.split())
    assert "scheduled up to 256 tokens" in words and ("40% beyond" in words) == (beyond == "hold")
    saved = json.loads((tmp_path / "policy" / "config.json").read_text())
    how = saved["metadata"]["calibrated"]
    assert how["kept"].keys() == {"64", "128", "192", "256"}
    assert all(abs(share - 0.4) < 0.05 for share in how["kept"].values())
    shares = saved["schedule"].get("beyond", [])
    assert (sum(shares) / len(shares) == pytest.approx(0.4)) if beyond == "hold" else not shares


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--statistics", "guessed"], "--statistics=guessed: expected frozen or estimated"),
        (["--beyond", "first"], "--beyond=first: expected hold or last"),
        (["--length", "64", "--update-every", "64"], "--length=64: expected more than --update-every=64"),
        (["--budget", "2"], "budget=2.0: expected a share"),
        (["--texts", "nowhere"], "nowhere"),
    ],
)
def test_calibrate_refuses_what_cannot_work(refused, tmp_path, options, said):
    line = refused("calibrate", "namm-smollm2", "--model", "tiny-random", "--output", tmp_path / "policy", *options)
    assert said in line
    assert not (tmp_path / "policy").exists()
