"""Whole evaluations of a random model: resuming, workers, extending, refusing."""

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from namm_xmodal.config import build_policy, load_eval_config
from namm_xmodal.errors import ConfigError, DataError, ResultsError
from namm_xmodal.evaluation import estimated
from namm_xmodal.evaluation import worker as worker_module
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.runner import evaluate

SMALL = ["budgets=[0.5]", "policies.namm=null", "generate_tokens=3"]


def load(folder, *changes):
    return load_eval_config("language/smoke", [*SMALL, *changes], str(folder))


def numbers(records):
    """Records without what differs from run to run."""
    return [replace(record, cpu_seconds=0, started="") for record in records]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    seen = []
    records = evaluate(load(folder), progress=lambda done, total, what: seen.append((done, total)))
    return folder, records, seen


def test_everything_is_evaluated_once_with_its_provenance(reference):
    folder, records, seen = reference
    plan = make_plan(load(folder))
    assert len(records) == plan.total == seen[-1][0] == seen[-1][1]
    assert len({record.key for record in records}) == plan.total
    for record in records:
        assert 0 < record.kept_fraction <= 1
        assert record.live_bytes <= record.allocated_bytes
        assert record.cpu_seconds >= 0
        source = {"name": "tiny-random", "source": "tiny-random (seed 0)", "dtype": "float32"}
        assert record.model == {**source, "end_of_text": [257]}
        assert set(record.versions) == {"namm-xmodal", "torch", "transformers", "numpy"}
    full = [record for record in records if record.policy == "full"]
    assert all(record.kept_fraction == 1 and record.protocol == "none" for record in full)
    header = json.loads((folder / "results.jsonl").read_text().splitlines()[0])
    assert header["settings"]["model"] == "tiny-random"
    assert load_eval_config(folder / "config.yaml") == load(folder)


def test_all_policies_get_the_same_samples(reference):
    tags = {}
    for record in reference[1]:
        tags.setdefault((record.task, record.sample), set()).add(json.dumps(record.tags, sort_keys=True))
    assert all(len(each) == 1 for each in tags.values())


def test_budgets_are_kept(reference):
    for record in reference[1]:
        if record.budget is not None and record.task == "key_retrieval":
            assert record.kept_fraction == pytest.approx(record.budget, abs=0.2)


def test_a_complete_run_is_not_repeated(reference, monkeypatch):
    folder, records, _ = reference
    monkeypatch.setattr(worker_module, "LanguageWorker", None)  # loading a model would fail
    assert evaluate(load(folder)) == records


def test_an_interrupted_run_goes_on_to_the_same_results(reference, tmp_path):
    def stop(done, total, what):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(load(tmp_path), progress=stop)
    kept = (tmp_path / "results.jsonl").read_text()
    assert len(kept.splitlines()) == 5
    notices = []
    records = evaluate(load(tmp_path), notice=notices.append)
    assert numbers(records) == numbers(reference[1])
    assert (tmp_path / "results.jsonl").read_text().startswith(kept)
    assert "going on after 4 of" in notices[0]


def test_two_workers_killed_and_stopped_give_the_same_results(reference, tmp_path):
    trouble = {3: signal.SIGKILL, 6: signal.SIGSTOP}

    def progress(done, total, what):
        if done in trouble:
            os.kill(multiprocessing.active_children()[0].pid, trouble.pop(done))

    assert numbers(evaluate(load(tmp_path, "workers=2", "silence=10"), progress=progress)) == numbers(reference[1])
    assert not trouble
    assert not multiprocessing.active_children()
    assert numbers(evaluate(load(tmp_path, "silence=20"))) == numbers(reference[1])  # no other configuration


def test_more_samples_extend_a_run(reference, tmp_path):
    folder, records, _ = reference
    (tmp_path / "results.jsonl").write_bytes((folder / "results.jsonl").read_bytes())
    larger = evaluate(load(tmp_path, "tasks.next_token.n=3"))
    assert len(larger) == len(records) + len(make_plan(load(tmp_path)).runs)
    fewer = evaluate(load(tmp_path, "tasks.next_token.n=1", "tasks.key_retrieval.n=1"))
    assert {record.sample for record in fewer} == {0}


def test_a_policy_is_added_to_a_finished_run(reference, tmp_path, monkeypatch):
    shutil.copy(reference[0] / "results.jsonl", tmp_path)
    added = load(tmp_path, "policies.added={policy: recency}")
    ran = []
    monkeypatch.setattr(worker_module.LanguageWorker, "_record", counting(worker_module.LanguageWorker._record, ran))
    records = evaluate(added)
    assert len(records) == make_plan(added).total
    assert {record.policy for record in records} == {*(record.policy for record in reference[1]), "added"}
    assert set(ran) == {"added"}
    assert numbers(evaluate(load(tmp_path))) == numbers(reference[1])  # and one that is left out is kept for later


def test_statistics_are_estimated_on_the_model_and_named(tmp_path):
    few = ["tasks.next_token=null", "tasks.key_retrieval.n=1", "budgets=[0.5]"]
    namms = [f"policies.{name}={{policy: namm, init: random, statistics: {name}}}" for name in ("frozen", "estimated")]
    records = {record.policy: record for record in evaluate(load(tmp_path, *few, *namms))}
    assert records["frozen"].statistics == "none (raw features)"
    assert records["estimated"].statistics.startswith("estimated on tiny-random, 8 texts")
    assert records["frozen"].kept_fraction != records["estimated"].kept_fraction
    assert records["frozen"].fingerprint + "+estimated" == records["estimated"].fingerprint
    assert records["full"].statistics == ""


def test_another_policy_under_an_old_name_is_refused(reference, tmp_path):
    shutil.copy(reference[0] / "results.jsonl", tmp_path)
    changed = load(tmp_path, "policies.snapkv.window=8")
    with pytest.raises(ResultsError, match=r"another policy named 'snapkv' .* another label"):
        evaluate(changed)


def counting(method, ran):
    def counted(self, unit, run, *rest):
        ran.append(run.label)
        return method(self, unit, run, *rest)

    return counted


def test_results_of_another_configuration_are_refused(reference, tmp_path):
    folder = reference[0]
    before = (folder / "results.jsonl").read_bytes()
    with pytest.raises(ResultsError, match="use --fresh"):
        evaluate(load(folder, "seed=1"))
    assert (folder / "results.jsonl").read_bytes() == before


def test_fresh_sets_earlier_results_aside(reference, tmp_path):
    folder = reference[0]
    old = (folder / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(old)
    few = ["tasks.key_retrieval=null", "tasks.next_token.n=1"]
    evaluate(load(tmp_path, "seed=1", *few), fresh=True)
    aside = [path for path in Path(tmp_path).glob("results.*.jsonl")]
    assert [path.read_bytes() for path in aside] == [old]


def test_impossible_samples_are_one_line(tmp_path):
    with pytest.raises(DataError, match=r"tasks.key_retrieval: (length: 20000|sample 0 needs .* was built for 16384)"):
        evaluate(load(tmp_path, "tasks.key_retrieval.length=[20000]"))


def test_thresholds_are_calibrated_on_the_model_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(estimated, "LONG", 512)
    monkeypatch.setattr(estimated, "LONG_TEXTS", 2)
    spec = "policies.{}={{policy: namm, init: random, statistics: estimated, calibrated: {}}}"
    few = ["tasks.next_token=null", "tasks.key_retrieval.n=1"]
    shares = [spec.format("half", 0.5), spec.format("most", 0.8)]
    records = {record.policy: record for record in evaluate(load(tmp_path, *few, *shares))}
    assert records["half"].fingerprint.endswith("+estimated+calibrated:0.5")
    assert 0.3 < records["half"].kept_fraction < 0.65
    assert 0.7 < records["most"].kept_fraction < 0.95


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("calibrated: 1.5", r"calibrated: 1\.5: expected a share between 0 and 1"),
        ("calibrated: 0.5, threshold: 0.1", "threshold is given too"),
    ],
)
def test_calibrations_that_make_no_sense_are_refused(given, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        make_plan(load(tmp_path, f"policies.bad={{policy: namm, init: random, {given}}}"))


def test_only_evaluations_calibrate():
    with pytest.raises(ConfigError, match=r"only `namm-xmodal eval` calibrates"):
        build_policy({"policy": "namm", "path": "namm-smollm2", "calibrated": 0.5})
