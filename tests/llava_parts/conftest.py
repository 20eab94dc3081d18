"""A model of tiny random parts, trained for four steps, and a folder of pictures."""

import pytest
import torch
from picture_folder import PARTS, make_pictures
from typer.testing import CliRunner

from namm_xmodal.cli.app import app
from namm_xmodal.training.llava_smollm2.export import export_parts
from namm_xmodal.training.llava_smollm2.recipe import TINY
from namm_xmodal.training.llava_smollm2.train import train_parts
from namm_xmodal.video.models import load_video_model


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("parts") / "run"
    with torch.enable_grad():
        trained = train_parts(PARTS, 3, folder, TINY, lambda *_: None, pictures)
    export_parts(
        trained, PARTS, folder / "model", seed=3, recipe=TINY, seconds=1.0, clips=2, frames=5, pictures=pictures
    )
    return folder


@pytest.fixture(scope="session")
def loaded(run_folder):
    return load_video_model(str(run_folder / "model"), dtype="float32")


@pytest.fixture
def run(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments):
        result = CliRunner().invoke(app, [str(each) for each in arguments])
        assert result.exit_code == 0, result.output
        return result

    return call
