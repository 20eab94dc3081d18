"""MuJoCo talks in C, below Python's streams, and leaves MUJOCO_LOG.TXT in the current folder; not in ours."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def quiet_simulator() -> Iterator[None]:
    """Makes the simulator's deprecation notes go nowhere: standard output is turned away, the folder is a scratch one.

    For the moment in which an environment is made; paths used inside must be absolute.
    """
    before = Path.cwd()
    sys.stdout.flush()
    with TemporaryDirectory(prefix="namm-xmodal-") as folder, open(os.devnull, "w") as nowhere:
        saved = os.dup(1)
        try:
            os.chdir(folder)
            os.dup2(nowhere.fileno(), 1)
            yield
        finally:
            os.dup2(saved, 1)
            os.close(saved)
            os.chdir(before)
