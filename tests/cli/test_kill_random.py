"""The script of random kills, with one kill of each command; run it with more to look for rare moments."""

import kill_all
import pytest


@pytest.mark.with_gradients
@pytest.mark.parametrize("name", kill_all.LINES)
def test_one_kill(name, tmp_path):
    kill_all.kill_all(tmp_path, 1, 0, [name])
