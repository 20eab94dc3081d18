"""`calibrate` and `inspect` refuse what would mean nothing; `calibrate` before it loads a model, in a dry run as well."""

import pytest

from namm_xmodal.language import models

CALIBRATE = ("calibrate", "namm-smollm2", "--model", "tiny-random")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--texts", "python-topic"), "unknown text source 'python-topic': did you mean python-topics"),
        (("--length", "20000"), "--length: texts are cut from 20032 tokens, but the context of tiny-random is 16384"),
        (("--length", "64", "--update-every", "64"), "--length=64: expected more than --update-every=64"),
        (("--update-every", "100"), "update_every=100: expected a multiple"),
        (
            ("--update-every", "1024", "--statistics", "estimated"),
            "a text to estimate from has 768 tokens, shorter than",
        ),
        (
            ("--protect-recent", "1000"),
            "--budget: protect_first + protect_recent = 4 + 1000: --length: a text has 1536",
        ),
        (("--floor", "1000000000"), "--floor=1000000000: keeps everything"),
        (("--budget", "2"), "budget=2.0: expected a share"),
        (("--dtype", "int8"), "dtype: 'int8': expected one of auto"),
        (("--model", "tiny-randon"), "unknown model 'tiny-randon': did you mean tiny-random"),
        (("--model", "./nowhere"), "model './nowhere': no such folder"),
    ],
)
def test_calibrate_refuses_the_same_with_and_without_a_dry_run(refused, tmp_path, monkeypatch, options, said):
    monkeypatch.setattr(models, "load_language_model", None)  # loading a model would fail
    line = refused(*CALIBRATE, *options, "--output", tmp_path / "policy", "--dry-run")
    assert said in line
    assert refused(*CALIBRATE, *options, "--output", tmp_path / "policy") == line
    assert not list(tmp_path.iterdir())


def test_a_dry_calibration_writes_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_language_model", None)
    told = run(*CALIBRATE, "--output", tmp_path / "policy", "--dry-run")
    assert "to keep 25% of 6 texts of 1536 tokens of python-topics" in " ".join(told.stdout.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "text", "said"),
    [
        ((), "", "text of 0 tokens: expected a non-empty text"),
        ((), " \n ", "expected a non-empty text"),
        (("--budget", "1000000000"), "word " * 40, "--policy: budget 1000000000: has no effect"),
        (
            ("--budget", "0.25", "--protect-recent", "100"),
            "word " * 40,
            "protect_first + protect_recent = 4 + 100: the text",
        ),
        (("--policy", "namm", "--set", "init=zeros", "--budget", "900"), "word " * 40, "budget 900: has no effect"),
        (
            ("--policy", "namm", "--set", "init=zeros", "--protect-recent", "300"),
            "word " * 40,
            "no token is left to choose",
        ),
    ],
)
def test_inspect_refuses_what_it_could_not_show(refused, tmp_path, options, text, said):
    picture = tmp_path / "picture.png"
    arguments = ("inspect", "--model", "tiny-random", "--update-every", "32", "--text", "-", "--output", picture)
    assert said in refused(*arguments, *options, stdin=text)
    assert not list(tmp_path.iterdir())


def test_one_command_line_of_an_evaluation(refused, run, tmp_path):
    few = ("eval", "language/smoke", "--output", tmp_path / "out", "--dry-run")
    assert run(*few).stderr == ""
    assert "protect_first + protect_recent = 4 + 1000" in refused(*few, "--set", "language.protect_recent=1000")
    assert not list(tmp_path.iterdir())
