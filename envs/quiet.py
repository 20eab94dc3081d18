"""Silences MuJoCo's warnings, which are printed in C or written to MUJOCO_LOG.TXT in the current folder."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from namm_xmodal.extras import need

_LOG = logging.getLogger(__name__)


@contextmanager
def quiet_simulator() -> Iterator[None]:
    """Takes the simulator's warnings to Python's log, for the moment in which an environment is made.

    What it says then is about files of gymnasium, such as a deprecated attribute, and nothing that a user could mend.
    """
    if find_spec("mujoco") is None:  # for environments without it
        yield
        return
    mujoco = need("mujoco", "MuJoCo's environments")
    before = mujoco.get_mju_user_warning()
    mujoco.set_mju_user_warning(lambda message: _LOG.debug("mujoco: %s", message))
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
