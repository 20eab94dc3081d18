"""What a policy, task or metric of a plug-in does wrong while it works: one line with name, item, file and line."""

import pickle
import re

import pytest
import torch
from evaluations import make, plan_of, run
from families import padded_batch, tiny
from typer.testing import CliRunner

from namm_xmodal import Budgeted, pruned
from namm_xmodal.cli.app import app
from namm_xmodal.config.blame import blamed
from namm_xmodal.errors import ContractError, NammError, PluginError
from namm_xmodal.plugins import FILES, use_files

HEAD = """
from dataclasses import dataclass
from typing import ClassVar

from namm_xmodal import Budgeted
from namm_xmodal.errors import ConfigError
from namm_xmodal.language.metrics import Metric
from namm_xmodal.language.sample import Sample


@dataclass(frozen=True)
class Plain:
    name: ClassVar[str] = "plain"
    description: ClassVar[str] = "a word stands at the beginning"
    primary_metric: ClassVar[str] = "answer_probability"

    def samples(self, n, *, seed, tokenizer):
        if n < 1:
            raise ConfigError(f"n: {n}: expected at least 1")
        return [self.one(index) for index in range(n)]

    def one(self, index):
        return Sample(self.name, index, f"{index} words. " * 12, " The word is", f" w{index}")


@dataclass(frozen=True, kw_only=True)
class Mine(Budgeted):
    def score(self, observation):
        values = observation.values.norm(dim=-1)
        SCORE


TASKS = {"plain": Plain}
POLICIES = {"mine": Mine}
"""
FAULTS = {
    "raise ValueError('boom')": r"policies\.own: ValueError: boom \(.*own_plugin\.py:\d+\)$",
    "return values * float('nan')": r"policies\.own: Mine breaks the clause 'scores': NaN for \d+ of \d+ live tokens in "
    r"layer 0 after 64 tokens; expected numbers; -inf and inf are allowed$",
    "return values.sum(-1)": r"Mine breaks the clause 'scores': floats \(1, 2\) in layer 0 .*floats \(1, 2, 64\)$",
    "return 3": r"'scores': a value of type int in layer 0",
}
METRIC = "METRICS = {'m': Metric('m', 0, 1, True, 'of mine', of_text=lambda text, answers: %s)}\n"


def evaluation(folder, n=2, **changes):
    section = {
        "model": "tiny-random",
        "update_every": 64,
        "generate_tokens": 4,
        "tasks": {"words": {"task": "plain", "n": n}},
        "policies": {"full": {"policy": "full"}, "own": {"policy": "mine", "budget": 0.5}},
        **changes,
    }
    return make(language=section, output=str(folder / "out"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_policy_that_breaks_on_the_first_item_ends_the_run(files, tmp_path, fault):
    use_files([files(HEAD.replace("SCORE", fault))])
    with pytest.raises(NammError, match=f"(?m){FAULTS[fault]}") as caught:
        run(evaluation(tmp_path))
    assert str(caught.value).startswith("test.yaml: language: words/0: policies.own: ")
    assert "\n" not in str(caught.value)


def test_a_policy_that_breaks_later_fails_the_item(files, tmp_path):
    use_files([files(HEAD.replace("SCORE", "return values if observation.keys.sum() == 0 else self.seen(values)"))])
    import own_plugin

    calls = []

    def seen(self, values):
        calls.append(1)
        if len(calls) == 3:  # two layers for each item
            raise KeyError("third")
        return values

    own_plugin.Mine.seen = seen
    told = []
    records = run(evaluation(tmp_path, n=3), notice=told.append)
    assert [(r.policy, r.number, r.status) for r in records if r.status != "scored"] == [("own", 1, "failed")]
    (message,) = [record.message for record in records if record.message]
    assert re.fullmatch(r"policies\.own: KeyError: 'third' \(.*own_plugin\.py:\d+\)", message)
    assert told == [f"language words/1: failed: {message}"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1 / 0", r"metric 'm': ZeroDivisionError: division by zero \(.*own_plugin\.py:\d+\)$"),
        ("'x'", r"metric 'm': returned 'x' for the text .*, expected a finite number$"),
        ("float('nan')", r"metric 'm': returned nan for the text"),
        ("None", r"metric 'm': returned None for the text"),
    ],
)
def test_a_metric_is_blamed_by_its_name(files, tmp_path, value, said):
    use_files([files(HEAD.replace("SCORE", "return values") + METRIC % value)])
    with pytest.raises(NammError, match=f"(?m){said}") as caught:
        run(evaluation(tmp_path, scoring=["generate"]))
    assert "words/0" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("range(n)]", "range(1 // 0)]", r"tasks\.words: ZeroDivisionError: .* \(.*own_plugin\.py:\d+\)"),
        ("range(n)]", "range(n - 1)]", r"tasks\.words: Plain\.samples: returned 1 samples, asked for 2"),
        (
            "return [self.one(index)",
            "return [str(index)",
            r"Plain\.samples: did not return a list of samples",
        ),
        (
            "(self, n, *, seed, tokenizer)",
            "(self, n)",
            r"tasks\.words: TypeError: .*unexpected keyword.*own_plugin\.py:\d+\)",
        ),
    ],
)
def test_a_task_is_blamed_before_a_model_is_loaded(files, tmp_path, old, new, said):
    use_files([files(HEAD.replace("SCORE", "return values").replace(old, new))])
    (plan,) = plan_of(evaluation(tmp_path))
    with pytest.raises(NammError, match=f"(?m){said}"):
        plan.check()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("raise ValueError('boom')", "policy mine: ValueError: boom"),
        ("return values[..., 0]", "breaks the clause 'scores'"),
    ],
)
def test_check_policy_is_one_line_and_the_traceback_is_shown_when_asked_for(files, monkeypatch, fault, said):
    path = str(files(HEAD.replace("SCORE", fault)))
    done = CliRunner().invoke(app, ["--plugins", path, "check", "policy", "mine"])
    assert done.exit_code == 2 and said in done.stderr and done.stderr.count("\n") == 1
    more = CliRunner().invoke(app, ["--traceback", "--plugins", path, "check", "policy", "mine"])
    assert (
        more.exit_code == 2 and "Traceback (most recent call last)" in more.stderr and "\nnamm-xmodal: " in more.stderr
    )


def test_pruned_refuses_nan_by_the_same_line():
    class Broken(Budgeted):
        def score(self, observation):
            return observation.values.norm(dim=-1) * float("nan")

    class Certain(Budgeted):
        def score(self, observation):
            return torch.full(observation.positions.shape, -torch.inf)

    model, batch = tiny("llama"), padded_batch(80, rows=1)
    with pruned(model, Certain(budget=0.5), update_every=32):
        model(**batch)  # infinite scores are meant
    with (
        pytest.raises(ContractError, match=r"NaN for .* in layer 0 after 32 tokens"),
        pruned(model, Broken(budget=0.5), update_every=32),
    ):
        model(**batch)


def test_a_fault_of_ours_is_no_fault_of_a_plug_in(files, monkeypatch):
    monkeypatch.setenv(FILES, "[]")
    with pytest.raises(ZeroDivisionError), blamed("policies.h2o", Budgeted):
        raise ZeroDivisionError


def test_the_traceback_travels_from_a_worker(files):
    use_files([files("def broken():\n    raise ValueError('two\\nlines')\nPOLICIES = {'x': dict}")])
    import own_plugin

    with pytest.raises(PluginError) as caught, blamed("policies.x"):
        own_plugin.broken()
    arrived = pickle.loads(pickle.dumps(caught.value))
    assert re.fullmatch(r"policies\.x: ValueError: two lines \(.*own_plugin\.py:\d+\)", str(arrived))
    assert "raise ValueError" in arrived.__notes__[0]
