"""A mistake gives one line with value, expectation and remedy, exit code 2, and leaves a run as it was."""

import sys

import pytest

SMOKE = ("evolve", "evolve/smoke")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("strategy.name=cmaa", "unknown strategy 'cmaa': did you mean cma"),
        ("strategy.population=3", "strategy: population=3: expected at least 4"),
        ("strategy.population=abc", "strategy.population: 'abc': expected a whole number"),
        ("strategy.sigma=1", "strategy cma has no option 'sigma'"),
        ("strategy.covariance=round", "strategy: covariance='round': expected diagonal or full"),
        ("tasks.key_retrieval.task=key_retrival", "unknown task 'key_retrival': did you mean key_retrieval"),
        ("tasks.key_retrieval.n=4", "tasks.key_retrieval.n: 4: not a key of a training task"),
        ("tasks.key_retrieval.lenght=[512]", "tasks.key_retrieval.lenght: unknown key"),
        ("held_out.next_token={task: next_token, n: 2}", "held_out.next_token: is also a training task"),
        ("held_out.text={task: next_token, n: 2, length: [576]}", "held_out.text: the same task with the same fields"),
        ("held_out.text={task: next_token, length: [512]}", "held_out.text.n: None: expected a number of samples"),
        ("samples=9", "samples: 9: expected at most pool = 8"),
        ("update_every=100", "update_every=100: expected a multiple"),
        ("update_every=512", "tasks.key_retrieval: a sample has 507 tokens before its answer, fewer than update_every"),
        ("max_tokens=5", "budget=5: below protect_first + protect_recent"),
        ("max_tokens=0", "max_tokens: budget=0: expected at least 1 token"),
        ("size_pressure={schedule: ramp, start: 2}", "size_pressure: start=2.0: expected between 0 and weight=0.3"),
        ("start=nowhere", "start: nowhere: no such folder"),
        ("statistics.path=nowhere", "statistics.path: nowhere"),
        ("after=nowhere", "after: nowhere/journal.jsonl: no such file; expected the journal of a run"),
        ("evaluator.workers=2", "workers: 2: kind in_process has one worker"),
        ("models=[tiny-random, tiny-random]", "contains a model twice"),
        ("models=tiny-randon", "unknown model 'tiny-randon': did you mean tiny-random"),
        ("generation=5", "generation: unknown key; did you mean generations?"),
    ],
)
def test_bad_values(refused, tmp_path, change, expected):
    assert expected in refused(*SMOKE, "--run", tmp_path / "run", "--set", change)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("module", "change", "extra"),
    [
        ("ray", "evaluator={kind: ray}", "ray"),
        ("tensorboard.summary.writer.event_file_writer", "tracking.tensorboard=true", "tracking"),
        ("wandb", "tracking.wandb=true", "tracking"),
    ],
)
def test_missing_extra(refused, monkeypatch, tmp_path, module, change, extra):
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'namm-xmodal[{extra}]'" in refused(*SMOKE, "--run", tmp_path / "run", "--set", change)
    assert not list(tmp_path.iterdir())


def test_what_to_run(refused, tmp_path):
    assert "expected either a file" in refused("evolve")
    assert "expected either a file" in refused(*SMOKE, "--resume", tmp_path)
    assert "cannot be combined with --resume" in refused("evolve", "--resume", tmp_path, "--run", tmp_path)
    assert "no run there (no config.yaml)" in refused("evolve", "--resume", tmp_path / "nothing")
    assert "no such file, and no shipped configuration" in refused("evolve", "evolve/smok")
    assert "no such file; expected the journal of a run" in refused("plot", tmp_path)
    assert "expected a name that ends in .png" in refused("plot", tmp_path, "--output", "x.doc")


def test_a_run_that_is_finished_foreign_or_already_there(run, refused, small, tmp_path):
    folder = tmp_path / "run"
    run(*SMOKE, "--run", folder, *small("generations=1", "validation=0"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    again = run("evolve", "--resume", folder).stdout
    assert f"finished, 1 of 1 generations; for more: namm-xmodal evolve --resume {folder} --set generations=2" in again
    assert "a run already exists here; resume it with" in refused(*SMOKE, "--run", folder)
    more = ("evolve", "--resume", folder, "--set", "generations=2", "--set")
    for change, what in {
        "pool=3": "another configuration",
        "seed=5": "another strategy",
        "strategy.sigma0=0.1": "another strategy",
        "size_pressure.weight=0.2": "another size pressure",
    }.items():
        assert f"belongs to a run with {what}" in refused(*more, change)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
