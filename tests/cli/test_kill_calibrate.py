"""Calibration killed before any of its file operations: its folder holds the old policy or the new one, never a half."""

import shutil

from killing import command, killed_at_every_operation

from namm_xmodal import Namm

LINE = ("calibrate", "namm-smollm2", "--model", "tiny-random", "--floor", "0")
LINE = (*LINE, "--length", "96", "--count", "1", "--update-every", "64")


def test_at_every_file_operation(tmp_path):
    before = tmp_path / "before"
    command(*LINE, "--budget", "0.5", "--output", before)
    old = repr(Namm.from_pretrained(before))

    def go(folder):
        command(*LINE, "--budget", "0.3", "--output", folder)

    def one_or_the_other(folder):
        assert Namm.from_pretrained(folder).metadata["calibrated"]["budget"] in (0.5, 0.3)

    assert repr(Namm.from_pretrained(before)) == old
    count = killed_at_every_operation(
        tmp_path / "policy", go, go, one_or_the_other, lambda folder: shutil.copytree(before, folder)
    )
    assert count > 8
    assert killed_at_every_operation(tmp_path / "new", go, go) > 10
