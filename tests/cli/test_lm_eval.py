"""`namm-xmodal lm-eval`: lm-evaluation-harness with the model registered."""

import json
import subprocess
import sys

import pytest
import yaml

ARGUMENTS = "pretrained=tiny-random,policy=keydiff,budget=0.5,update_every=32,dtype=float32"


@pytest.fixture
def task(tmp_path, monkeypatch):
    import datasets
    from lm_eval.tasks import TaskManager

    # The harness's own 14,000 tasks are left out: their names alone take seconds to read.
    monkeypatch.setattr(TaskManager.__init__, "__defaults__", (None, None, False, None))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    (tmp_path / "lines.jsonl").write_text(json.dumps({"text": "One line of a few words. " * 4, "answer": "no"}) + "\n")
    content = {
        "task": "mine",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "lines.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}}",
        "doc_to_choice": ["yes", "no"],
        "doc_to_target": "answer",
    }
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "mine.yaml").write_text(yaml.safe_dump(content))
    return "--tasks", "mine", "--include_path", tmp_path / "tasks", "--device", "cpu"


def test_the_harness_runs_with_the_pruned_model(run, task, tmp_path):
    result = run("lm-eval", "--model_args", ARGUMENTS, *task, "--output_path", tmp_path / "out")
    assert "namm_xmodal ({'pretrained': 'tiny-random', 'policy': 'keydiff'" in result.stdout
    (written,) = (tmp_path / "out").rglob("results_*.json")
    config = json.loads(written.read_text())["config"]
    assert config["policy"] == "KeyDiff(budget=0.5)"
    assert config["cache_kept"] == pytest.approx(51 / 99)  # 48 of 96 tokens, and three newer ones
    assert (config["prompts"], config["prompts_untouched"], config["requests_truncated"]) == (1, 0, 0)


def test_mistakes_are_one_line(run, task):
    for given, said in (
        ("pretrained=tiny-random,policy=keydif,budget=0.5", "unknown policy 'keydif': did you mean keydiff"),
        ("pretrained=tiny-random,policy=full,batchsize=2", "model_args.batchsize: neither an argument nor a field"),
        ("pretrained=tiny-randm,policy=full", "unknown model 'tiny-randm': did you mean tiny-random"),
        ("policy=full", "model_args.pretrained: missing"),
    ):
        result = run("lm-eval", "--model_args", given, *task, code=2)
        assert result.stderr.splitlines()[-1].startswith(f"namm-xmodal: {said}")


def test_what_the_harness_refuses_is_one_line(run, task, tmp_path):
    given = ("lm-eval", "--model_args", "pretrained=tiny-random,policy=full")
    ends = "; `namm-xmodal lm-eval ls tasks` lists all; run `namm-xmodal --traceback ...` for details"
    line = run(*given, "--tasks", "mime,mine,xyz", *task[2:], code=2).stderr.splitlines()[-1]
    assert line == f"namm-xmodal: lm-eval: mime: no such task, did you mean mine?; xyz: no such task{ends}"
    (tmp_path / "lines.jsonl").unlink()
    line = run(*given, *task, code=2).stderr.splitlines()[-1]
    assert line.startswith("namm-xmodal: lm-eval: ") and "lines.jsonl" in line
    line = run(*given, *task, "--model", "namm_xmodel", code=2).stderr.splitlines()[-1]
    assert line.startswith("namm-xmodal: lm-eval: ") and "'namm_xmodel'" in line


def test_the_folder_of_another_command_is_refused(run, task, tmp_path):
    given = ("lm-eval", "--model_args", ARGUMENTS, *task)
    run("eval", "language/smoke", "--set", "language.tasks.next_token=null", "--output", tmp_path / "there")
    before = sorted(tmp_path.rglob("*"))
    in_a_file = tmp_path / "settings.yaml"
    for output in (
        ("--output_path", tmp_path / "there"),
        ("--output", f"{tmp_path}/there/lines.json"),  # the harness writes beside it
        ("--config", in_a_file),
    ):
        in_a_file.write_text(yaml.safe_dump({"output_path": str(tmp_path / "there")}))
        line = run(*given, *output, code=2).stderr.splitlines()[-1]
        assert line == (
            f"namm-xmodal: {tmp_path}/there: was made by `namm-xmodal eval`, expected a new folder or one of `namm-xmodal "
            "lm-eval`; choose another --output_path"
        )
        in_a_file.unlink()
    assert sorted(tmp_path.rglob("*")) == before
    own = tmp_path / "own"
    run(*given, "--tasks", "nosuch", "--output_path", own, code=2)
    assert not own.exists()  # nothing was written
    for times in (1, 2):
        run(*given, "--output_path", own)
        assert len(list(own.rglob("results_*.json"))) == times
    line = run("eval", "language/smoke", "--output", own, code=2).stderr.splitlines()[-1]
    assert f"{own}: was made by `namm-xmodal lm-eval`" in line


def test_the_harness_s_own_models_stay_known():
    from lm_eval.api.registry import get_model

    import namm_xmodal.harness.pruned_lm as ours  # before anything has asked for a model

    assert get_model("namm_xmodal") is ours.PrunedLM
    assert get_model("hf").__name__ == "HFLM"


def test_without_the_extra(refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.__main__", None)
    line = refused("lm-eval", "--model_args", ARGUMENTS)
    assert line.endswith("namm-xmodal lm-eval needs an optional dependency: pip install 'namm-xmodal[lm-eval]'")


def test_importing_the_model_without_the_extra():
    code = "import sys; sys.modules['lm_eval'] = None; import namm_xmodal.harness.pruned_lm"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].endswith("pip install 'namm-xmodal[lm-eval]'")
