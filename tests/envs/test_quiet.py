"""What MuJoCo says of gymnasium's files reaches neither the terminal nor the current folder."""

import mujoco

from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.quiet import quiet_simulator


def test_making_an_environment_is_quiet(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    environment_maker("HalfCheetah-v5")().close()  # its file has attributes that MuJoCo 4 calls deprecated
    shown = capfd.readouterr()
    assert "deprecated" not in shown.out + shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_handler_of_the_users_is_put_back():
    said = []
    mujoco.set_mju_user_warning(said.append)
    try:
        with quiet_simulator():
            assert mujoco.get_mju_user_warning() != said.append
        assert mujoco.get_mju_user_warning() == said.append
    finally:
        mujoco.set_mju_user_warning(None)
    assert said == []
