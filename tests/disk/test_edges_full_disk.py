"""A full disk is called one, whoever notices it, and what was there before is kept."""

import resource

import numpy as np
import pytest
from killing import contents, in_fork

from namm_xmodal import Namm
from namm_xmodal.disk.owned_folder import OwnedFolder
from namm_xmodal.errors import CheckpointError, EvolutionError, FolderError
from namm_xmodal.evolution.saving import save_vector


def full_disk(action, error):
    """Runs `action` in a process that may write 1,000 bytes to a file."""

    def run():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with pytest.raises(error, match="the disk is full, free some space and") as caught:
            action()
        assert "\n" not in str(caught.value)

    assert in_fork(run)


def test_a_vector(tmp_path):
    save_vector(tmp_path / "mean.npy", np.zeros(2))
    before = contents(tmp_path)
    full_disk(lambda: save_vector(tmp_path / "mean.npy", np.zeros(4172)), EvolutionError)
    assert contents(tmp_path) == before


def test_a_policy(tmp_path):
    Namm.untrained("zeros").save_pretrained(tmp_path)
    before = contents(tmp_path)
    full_disk(lambda: Namm.untrained("random").save_pretrained(tmp_path), CheckpointError)
    assert contents(tmp_path) == before


def test_a_marker(tmp_path):
    def claim():
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        with OwnedFolder(tmp_path / "out", "eval", ()).claimed():
            pass

    full_disk(claim, FolderError)
    assert not list(tmp_path.iterdir())
