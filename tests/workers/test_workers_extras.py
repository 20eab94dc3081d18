"""Whoever lacks an optional dependency reads which extra brings it, whatever they called."""

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from benchmark_folders import nextqa
from typer.testing import CliRunner

from namm_xmodal.cli.app import app
from namm_xmodal.errors import MissingDependencyError
from namm_xmodal.extras import EXTRAS, need

ROOT = Path(__file__).parents[2]
SCRIPT = """
import contextlib, io, json, os, sys
from pathlib import Path
blocked, cases = json.loads(sys.argv[1])
for name in blocked:
    sys.modules[name] = None  # as if it were not installed
from namm_xmodal.cli import main

def said(case):
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            exec(case) if "\\n" in case or "(" in case else main(case.split())
    except SystemExit:
        return errors.getvalue().strip()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"

print(json.dumps([said(case) for case in cases]))
"""
EVERYTHING = [
    ("video-qa video/smoke", "video"),
    ("video-qa video/nextqa --set video.data=.", "video"),
    ("inspect clip.mp4 --question What? --output kept.png", "video"),
    ("prepare video --model llava-smollm2 --tiny --output out", "video"),
    ("rollout rl/demo", "rl"),
    ("prepare rl --env tmaze --output out", "rl"),
    ("prepare rl --env hopper --output out", "rl"),
    ("evolve evolve/smoke --run out --set evaluator.kind=ray", "ray"),
    ("evolve evolve/smoke --run out --set tracking.tensorboard=true", "tracking"),
    ("evolve evolve/smoke --run out --set tracking.wandb=true", "tracking"),
    ("from namm_xmodal.video.load import load_video\nload_video(None)", "video"),
    ("from namm_xmodal.video.index import index_video\nindex_video('a.mp4')", "video"),
    ("from namm_xmodal.video.models import load_video_model; load_video_model('llava-smollm2')", "video"),
    ("from namm_xmodal.envs.tmaze import TMaze; TMaze()", "rl"),
    ("from namm_xmodal.envs.positions import make_hopper_positions; make_hopper_positions()", "rl"),
    ("from namm_xmodal.envs.environments import register_environments; register_environments()", "rl"),
    ("from namm_xmodal.envs.minari_data import read_minari; read_minari('a/b-v0')", "rl"),
    ("from namm_xmodal.modalities.rl.film import film_episode; film_episode(*[None] * 6)", "video"),
    ("from namm_xmodal.workers.ray_actors import ray_pool; ray_pool(dict, 1)", "ray"),
]
ALONE = {  # where something else is missed first if everything is
    "av": [("from namm_xmodal.video.load import load_video\nload_video(None)", "video")],
    "decord": [
        (
            "from namm_xmodal.video.decord_backend import decode_frames_with_decord\ndecode_frames_with_decord(None, [0])",
            "decord",
        )
    ],
    "mujoco": [
        ("from namm_xmodal.envs.environments import environment_maker; environment_maker('Hopper-v5')", "rl"),
    ],
    "pyarrow": [
        ("from namm_xmodal.report.parquet import _table; _table([{'n': 1}])", "parquet"),
    ],
    "PIL": [("from namm_xmodal.video.composed.clip import compose\n", "video")],
}


@pytest.mark.parametrize(
    ("blocked", "cases"),
    [([name for name in EXTRAS if name != "PIL"], EVERYTHING), *(([name], cases) for name, cases in ALONE.items())],
    ids=["everything", *ALONE],
)
def test_commands_and_functions_name_the_extra(tmp_path, blocked, cases):
    nextqa(tmp_path)  # questions about files
    arguments = json.dumps([blocked, [case for case, _ in cases]])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for (case, extra), line in zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True):
        assert "\n" not in line, f"{case}: {line}"
        assert f"pip install 'namm-xmodal[{extra}]'" in line, f"{case}: {line}"
    assert not list(tmp_path.glob("out/policy"))


def test_what_only_another_library_imports_is_named_too(monkeypatch):
    def broken(*_):
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL.Image")

    monkeypatch.setattr("namm_xmodal.config.load_evaluation_config", broken)
    result = CliRunner().invoke(app, ["eval", "language/smoke"])
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "namm-xmodal: PIL needs an optional dependency: pip install 'namm-xmodal[video]'" in result.stderr


def test_every_file_that_imports_an_optional_module_says_what_it_needs():
    unguarded = []
    for folder in ("namm_xmodal", "adapters", "envs", "video"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            names = set()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    names.add((node.module or "").partition(".")[0])
            if names & set(EXTRAS) and 'need("' not in text and "MissingDependencyError" not in text:
                unguarded.append(str(path.relative_to(ROOT)))
    assert unguarded == []


def test_extras_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for module, extra in EXTRAS.items():
        package = {"PIL": "pillow", "unidic_lite": "unidic-lite", "lm_eval": "lm-eval"}.get(module, module)
        assert any(package in each for each in extras[extra]), module


def test_what_is_there_is_imported():
    assert need("tensorboard.summary", "logging").__name__ == "tensorboard.summary"
    with pytest.raises(MissingDependencyError, match=r"^logging needs .*\[tracking\]'$"):
        need("tensorboard.no_such_module", "logging")
