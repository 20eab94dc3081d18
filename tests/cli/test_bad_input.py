"""A mistake gives one line with value, expectation and remedy, exit code 2, and leaves results as they were."""

import pytest
from killing import contents

EVAL = ("eval", "language/smoke")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("language.policies.h2o.policy=h2oo", "unknown policy 'h2oo': did you mean h2o"),
        ("language.policies.h2o.budget=0", "policies.h2o: budget=0: expected at least 1 token"),
        ("language.policies.h2o.budget=3", "policies.h2o: budget=3: below protect_first + protect_recent"),
        (
            "language.policies.h2o.recent=3",
            "policies.h2o.recent: unknown key of policy h2o; did you mean recent_fraction?",
        ),
        ("language.budgets=[0]", "budgets: 0: expected at least 1 token"),
        ("language.tasks.key_retrieval.task=key_retrival", "unknown task 'key_retrival': did you mean"),
        ("language.tasks.key_retrieval.n=0", "tasks.key_retrieval.n: 0: expected a number of samples"),
        ("language.tasks.key_retrieval.length=[12]", "tasks.key_retrieval: length: 12: expected at least"),
        ("language.update_every=1024", "tasks.key_retrieval: sample 0 has 384 tokens, shorter than update_every"),
        ("language.update_every=100", "policies.namm: update_every=100: expected a multiple"),
        ("language.update_evry=64", "language: update_evry: unknown key; did you mean update_every?"),
        ("language.model=tiny-randon", "unknown model 'tiny-randon': did you mean tiny-random"),
        ("language.device=gpu", "device: 'gpu': expected a torch device"),
        ("language.dtype=int8", "dtype: 'int8': expected one of auto"),
        ("seed", "expected path=value"),
        ("tasks.key_retrieval.n=3", "tasks: expected in its section, as language.tasks"),
        ("lnguage.seed=3", "lnguage: unknown key or section; did you mean language?"),
    ],
)
def test_bad_values(refused, tmp_path, change, expected):
    out = tmp_path / "out"
    assert expected in refused(*EVAL, "--set", change, "--output", out)
    assert not (out / "summary.json").exists()


def test_a_model_that_cannot_be_fetched(run, tmp_path):
    line = (*EVAL, "--set", "language.model=no/such-model", "--output", tmp_path / "out")
    note, error = run(*line, code=2).stderr.strip().splitlines()
    assert "no/such-model is not on this machine yet" in note
    assert "namm-xmodal: model 'no/such-model' cannot be loaded" in error
    assert not (tmp_path / "out" / "summary.json").exists()


def test_missing_file(refused):
    assert "no/file.yaml: no such file" in refused("eval", "no/file.yaml")


def test_results_of_another_configuration(refused, run, tmp_path):
    few = ("tasks.next_token=null", "tasks.key_retrieval.n=1", "policies={snapkv: null}")
    few = [part for each in few for part in ("--set", f"language.{each}")]
    run(*EVAL, "--output", tmp_path, *few)
    before = contents(tmp_path)
    said = refused(*EVAL, "--output", tmp_path, *few, "--set", "language.seed=5")
    assert (
        "holds results with other settings: language.seed (0, now 5); choose another --output, or use --fresh" in said
    )
    other = ("--set", "language.policies.h2o.recent_fraction=0.3")
    for change, expected in ((("--set", "language.seed=5"), said), (other, "another policy named 'h2o'")):
        assert expected in refused(*EVAL, "--output", tmp_path, *few, *change, "--dry-run")
    run(*EVAL, "--output", tmp_path, *few, *other, "--dry-run", "--fresh")
    assert contents(tmp_path) == before


def test_output_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "file: is a file, expected a folder" in refused(*EVAL, "--output", tmp_path / "file")


INSPECT = ("inspect", "--model", "tiny-random", "--update-every", "32")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--text", "missing.txt"), "missing.txt: no such file; expected a text file"),
        (("--text", "-"), "text of 5 tokens: shorter than update_every=32"),
        (("--text", "-", "--policy", "h2oo"), "unknown policy 'h2oo'"),
        (("--text", "-", "--budget", "0"), "budget=0: expected at least 1 token"),
        (("--text", "-", "--budget", "half"), "budget: 'half'"),
        (("--text", "-", "--set", "widow=3"), "widow: unknown key of policy h2o"),
        (("--text", "-", "--policy", "namm", "--set", "init=zeros", "--update-every", "40"), "update_every=40"),
        (("--text", "-", "--output", "x.doc"), "--output x.doc: expected a name that ends in"),
        (("--text", "-", "--schedule", "cloc"), "--schedule 'cloc': expected streaming, post_context, post_prefill"),
        (
            ("--text", "-", "--schedule", "post_context"),
            "--schedule post_context: expected a --question, which is read",
        ),
        (("--text", "-", "--policy", "namm", "--set", "path=nowhere"), "nowhere"),
        (("--text", "-", "--layer", "1"), "--layer 1: of a video only"),
        (("--text", "-", "--option", "red"), "--option: of a video only"),
    ],
)
def test_inspect(refused, arguments, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(*INSPECT, *arguments, stdin="short")
    assert list(tmp_path.iterdir()) == []


def test_inspect_of_something_that_is_no_text(refused, tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refused(*INSPECT, "--text", tmp_path / "binary")


def test_check_names_what_is_unknown(refused):
    assert "unknown policy 'snapk': did you mean snapkv" in refused("check", "policy", "snapk")
    assert "unknown adapter 'langage'" in refused("check", "adapter", "langage")


def test_prepare_names_what_is_unknown(refused):
    assert "unknown text source 'python-topic'" in refused("prepare", "language", "--texts", "python-topic")


def test_an_option_of_the_root_behind_the_command_is_told_where_it_belongs(run):
    said = " ".join(run("list", "policies", "--plugins", "mine.py", code=2).stderr.replace("│", " ").split())
    assert "it stands before the command: namm-xmodal --plugins ... list" in said
    assert "before the command" not in run("list", "policies", "--plugin", "mine.py", code=2).stderr
