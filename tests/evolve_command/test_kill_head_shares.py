"""`head-shares` killed before any of its file operations ends as if it had been left alone."""

from killing import command, killed_at_every_operation

LINE = ("head-shares", "shares/smoke", "--set", "agree.language.count=3", "--set", "held_out=1", "--set", "steps=2")


def test_at_every_file_operation(tmp_path):
    def go(folder):
        command(*LINE, "--run", folder)

    assert killed_at_every_operation(tmp_path / "run", go, go) > 10
