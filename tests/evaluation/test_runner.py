"""Whole evaluations of a random model: resuming, workers, extending, refusing."""

import json
import re
import shutil
from pathlib import Path

import pytest
from evaluations import load, numbers, plan_of, run
from made_records import made_plan, made_records
from matplotlib.figure import Figure

from namm_xmodal.config import build_policy
from namm_xmodal.errors import ConfigError, DataError, ResultsError
from namm_xmodal.evaluation import runner
from namm_xmodal.modalities.language import fit
from namm_xmodal.modalities.language import session as language_session
from namm_xmodal.report.picture import save_picture

SMALL = ["language.budgets=[0.5]", "language.policies.namm=null", "language.generate_tokens=3"]


def small(folder, *changes):
    return load("language/smoke", folder, *SMALL, *changes)


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    seen = []
    records = run(small(folder), on_progress=lambda done, total, what: seen.append((done, total)))
    return folder, records, seen


def test_everything_is_evaluated_once_with_its_provenance(reference):
    folder, records, seen = reference
    (plan,) = plan_of(small(folder))
    assert len(records) == plan.total == seen[-1][0] == seen[-1][1]
    assert len({record.key for record in records}) == plan.total
    model = {"name": "tiny-random", "source": "tiny-random (seed 0)", "dtype": "float32"}
    for record in records:
        assert 0 < record.kept.fraction <= 1
        assert record.kept.live_bytes <= record.kept.allocated_bytes
        assert record.seconds["sample"] >= 0
        assert record.model == {**model, "end_of_text": [257]}
        assert set(record.versions) == {"namm-xmodal", "torch", "transformers", "numpy"}
    full = [record for record in records if record.policy == "full"]
    assert all(record.kept.fraction == 1 and record.schedule == "none" for record in full)
    settings = json.loads((folder / "results.jsonl").read_text().splitlines()[1])
    assert settings["settings"]["model"] == "tiny-random"
    assert load(folder / "config.yaml", None) == small(folder)


def test_budgets_are_kept(reference):
    for record in reference[1]:
        if record.budget is not None and record.task == "key_retrieval":
            assert record.kept.fraction == pytest.approx(record.budget, abs=0.2)


def test_what_a_session_reports_between_results_does_not_take_progress_back(tmp_path, monkeypatch):
    config, plan = made_plan(tmp_path, video=None, rl=None)

    def records(section, works, run, on_status):
        for record in made_records(plan)[:3]:
            on_status("step 20, 6 running")
            yield record

    monkeypatch.setattr(runner, "_records", records)
    seen, sections = [], []
    report = {"on_progress": lambda done, *_: seen.append(done), "on_section": lambda *each: sections.append(each)}
    runner.evaluate(config, plan, **report)
    assert seen == [0, 0, 1, 1, 2, 2, 3]
    assert sections == [("language", 0, plan[0].total)]


def test_a_complete_run_is_not_repeated_and_says_so(reference, monkeypatch):
    folder, records, _ = reference
    monkeypatch.setattr(language_session, "LanguageSession", None)  # loading a model would fail
    notices = []
    assert run(small(folder), notice=notices.append) == records
    assert "finished earlier: all" in notices[0]


def test_an_interrupted_run_goes_on_to_the_same_results(reference, tmp_path):
    def stop(done, total, what):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(small(tmp_path), on_progress=stop)
    kept = (tmp_path / "results.jsonl").read_text()
    assert len(kept.splitlines()) == 6  # header, settings, four records
    notices = []
    records = run(small(tmp_path), notice=notices.append)
    assert numbers(records) == numbers(reference[1])
    assert (tmp_path / "results.jsonl").read_text().startswith(kept)
    assert "resuming after 4 of" in notices[0]


def test_two_workers_give_the_same_results(reference, tmp_path):
    assert numbers(run(small(tmp_path, "workers=2"))) == numbers(reference[1])


def test_more_samples_extend_a_run(reference, tmp_path):
    folder, records, _ = reference
    shutil.copy(folder / "results.jsonl", tmp_path)
    larger = run(small(tmp_path, "language.tasks.next_token.n=3"))
    assert len(larger) == len(records) + len(plan_of(small(tmp_path))[0].arms)
    notices = []
    few = small(tmp_path, "language.tasks.next_token.n=1", "language.tasks.key_retrieval.n=1")
    fewer = run(few, notice=notices.append)
    assert {record.number for record in fewer} == {0}
    rest = len(larger) - len(fewer)
    assert notices[0] == (
        f"{rest} results of other sections, arms or items are kept in {tmp_path / 'results.jsonl'} and left out of the "
        "tables"
    )


def test_a_policy_is_added_to_a_finished_run(reference, tmp_path, monkeypatch):
    shutil.copy(reference[0] / "results.jsonl", tmp_path)
    added = small(tmp_path, "language.policies.added={policy: recency}")
    ran = []
    method = language_session.LanguageSession._outcome

    def counted(self, item, arm, *rest):
        ran.append(arm.label)
        return method(self, item, arm, *rest)

    monkeypatch.setattr(language_session.LanguageSession, "_outcome", counted)
    records = run(added)
    assert len(records) == plan_of(added)[0].total
    assert {record.policy for record in records} == {*(record.policy for record in reference[1]), "added"}
    assert set(ran) == {"added"}
    assert numbers(run(small(tmp_path))) == numbers(reference[1])  # and one that is left out is kept for later


def test_a_section_is_added_to_a_finished_run(reference, tmp_path):
    shutil.copy(reference[0] / "results.jsonl", tmp_path)
    maze = "rl={model: tmaze, model_seeds: [0], episodes: 1, score: success, policies: {full: {policy: full}}}"
    records = run(small(tmp_path, maze))
    assert numbers(records[: len(reference[1])]) == numbers(reference[1])
    assert [record.section for record in records[len(reference[1]) :]] == ["rl"]
    notices = []
    assert numbers(run(small(tmp_path), notice=notices.append)) == numbers(reference[1])
    assert notices[0].startswith("1 result of other sections, arms or items are kept in")


def test_statistics_are_estimated_on_the_model_and_named(tmp_path):
    few = ["language.tasks.next_token=null", "language.tasks.key_retrieval.n=1", "language.budgets=[0.5]"]
    spec = "language.policies.{0}={{policy: namm, init: random, statistics: {0}}}"
    namms = [spec.format(name) for name in ("frozen", "estimated", "estimated_by_layer")]
    records = {record.policy: record for record in run(small(tmp_path, *few, *namms))}
    assert records["frozen"].fit == "none (raw features)"
    assert records["estimated"].fit.startswith("estimated on tiny-random, 8 texts")
    assert records["frozen"].kept.fraction != records["estimated"].kept.fraction
    assert records["estimated_by_layer"].fit.endswith("layer 0")
    assert records["frozen"].fingerprint + "+estimated" == records["estimated"].fingerprint
    assert records["full"].fit == ""


def test_another_policy_under_an_old_name_is_refused(reference, tmp_path):
    shutil.copy(reference[0] / "results.jsonl", tmp_path)
    changed = small(tmp_path, "language.policies.snapkv.window=8")
    with pytest.raises(ResultsError, match=r"another policy named 'snapkv' .* another label"):
        run(changed)


def test_results_of_other_settings_are_refused_with_the_keys_that_differ(reference):
    folder = reference[0]
    before = (folder / "results.jsonl").read_bytes()
    with pytest.raises(ResultsError) as caught:
        run(small(folder, "language.seed=1", "language.tasks.next_token.length=[512]"))
    assert "language.seed (0, now 1)" in str(caught.value)
    assert "language.tasks.next_token.length ([384], now [512])" in str(caught.value)
    assert (folder / "results.jsonl").read_bytes() == before


def test_results_of_an_earlier_version_are_refused_with_the_reason(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"format":1,"config":"abc","settings":{},"versions":{}}\n')
    with pytest.raises(ResultsError, match="format 1, this version reads 2"):
        run(small(tmp_path))


def test_fresh_backs_earlier_results_up(reference, tmp_path):
    old = (reference[0] / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(old)
    (tmp_path / "report").mkdir()
    for name in ("scores.png", "scores.svg"):  # of a former version, unsigned
        Figure().savefig(tmp_path / name)
    save_picture(Figure(), tmp_path / "report" / "curves-rl.png")  # of another section
    save_picture(Figure(), tmp_path / "inspected.png")  # of another command
    (tmp_path / "survivors.svg").write_bytes(b"a drawing of the user's")
    few = ["language.tasks.key_retrieval=null", "language.tasks.next_token.n=1"]
    run(small(tmp_path, "language.seed=1", *few), fresh=True)
    aside = [path for path in Path(tmp_path).glob("results.*.jsonl")]
    assert [path.read_bytes() for path in aside] == [old]
    pictures = {re.sub(r"\.\d+T\d+", ".aside", path.name) for path in tmp_path.rglob("*.[ps][nv]g")}
    assert pictures == {"inspected.png", "survivors.svg", "scores.aside.png", "scores.aside.svg"}


def test_impossible_samples_are_one_line(tmp_path):
    with pytest.raises(DataError, match=r"tasks.key_retrieval: (length: 20000|sample 0 needs .* is 16384)"):
        run(small(tmp_path, "language.tasks.key_retrieval.length=[20000]"))


def test_thresholds_are_calibrated_on_the_model_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fit, "LONG", 512)
    monkeypatch.setattr(fit, "LONG_TEXTS", 2)
    spec = "language.policies.{}={{policy: namm, init: random, statistics: estimated, calibrated: {}}}"
    few = ["language.tasks.next_token=null", "language.tasks.key_retrieval.n=1"]
    shares = [spec.format("half", 0.5), spec.format("most", 0.8)]
    records = {record.policy: record for record in run(small(tmp_path, *few, *shares))}
    assert records["half"].fingerprint.endswith("+estimated+calibrated:0.5")
    assert 0.3 < records["half"].kept.fraction < 0.65
    assert 0.7 < records["most"].kept.fraction < 0.95


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("calibrated: 1.5", r"calibrated: 1\.5: expected a share between 0 and 1"),
        ("calibrated: 0.5, threshold: 0.1", "threshold is also given"),
        ("calibrated: 0.5, statistics: estimated_by_layer", "thresholds cannot be calibrated layer by layer"),
        ("statistics: guessed", "statistics: 'guessed': expected one of frozen, estimated, estimated_by_layer"),
    ],
)
def test_fits_that_make_no_sense_are_refused(given, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        plan_of(small(tmp_path, f"language.policies.bad={{policy: namm, init: random, {given}}}"))


def test_only_evaluations_calibrate():
    with pytest.raises(ConfigError, match="only works in `namm-xmodal eval`"):
        build_policy({"policy": "namm", "init": "random", "calibrated": 0.5})
