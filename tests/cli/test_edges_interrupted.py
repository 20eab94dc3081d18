"""After Ctrl-C a command says what can be resumed, and nothing of the kind where nothing is kept."""

import pytest


def stop(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("namm_xmodal.evaluation.runner.evaluate", ("eval", "language/smoke")),
        ("namm_xmodal.evaluation.runner.evaluate", ("rollout", "rl/tmaze")),
        ("namm_xmodal.evaluation.runner.evaluate", ("video-qa", "video/smoke")),
        ("namm_xmodal.language.texts.find_texts", ("prepare", "language")),
    ],
)
def test_what_is_saved_can_be_resumed(run, monkeypatch, tmp_path, target, arguments):
    monkeypatch.setattr(target, stop)
    monkeypatch.chdir(tmp_path)
    assert (
        run(*arguments, code=130)
        .stderr.strip()
        .endswith("namm-xmodal: interrupted; partial results are saved, run the command again to resume")
    )


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("namm_xmodal.language.models.list_models", ("list", "models")),
        ("namm_xmodal.adapters.check.check_adapter", ("check", "adapter", "language")),
        ("namm_xmodal.policies.namm.Namm.from_pretrained", ("calibrate", "namm-smollm2", "--output", "out")),
        ("namm_xmodal.evaluation.plan.make_plan", ("eval", "language/smoke")),
        ("namm_xmodal.evaluation.plan.SectionPlan.check", ("eval", "language/smoke", "--dry-run")),
    ],
)
def test_nothing_is_promised_where_nothing_is_kept(run, monkeypatch, tmp_path, target, arguments):
    monkeypatch.setattr(target, stop)
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, code=130).stderr.strip() == "namm-xmodal: interrupted"


def test_nothing_is_promised_while_a_plugin_loads(run, tmp_path):
    (tmp_path / "stops.py").write_text("raise KeyboardInterrupt\n")
    done = run("--plugins", tmp_path / "stops.py", "eval", "language/smoke", code=130)
    assert done.stderr.strip() == "namm-xmodal: interrupted"
