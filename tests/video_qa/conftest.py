"""A small model that was trained for three steps, saved and loaded as a user's own would be; and the command line."""

import pytest
from typer.testing import CliRunner

from namm_xmodal.cli.app import app
from namm_xmodal.training.llava_small.export import export
from namm_xmodal.training.llava_small.recipe import TINY
from namm_xmodal.training.llava_small.train import train
from namm_xmodal.video.models import load_video_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    import torch

    folder = tmp_path_factory.mktemp("small")
    with torch.enable_grad():
        model = train(3, folder / "run", TINY, lambda *_: None, score_clips=1)
    export(model, folder / "model", seed=3, recipe=TINY, seconds=1.0, clips=1, lengths=(8,))
    return folder / "model"


@pytest.fixture(scope="session")
def loaded(model_folder):
    return load_video_model(str(model_folder), dtype="float32")


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments, code=0):
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return call


@pytest.fixture
def refused(run):
    """Runs a command line that a user got wrong; returns its one line."""

    def call(*arguments):
        line = run(*arguments, code=2).stderr.strip()
        assert line.startswith("namm-xmodal: ")
        assert "\n" not in line
        return line

    return call
