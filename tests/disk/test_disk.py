"""Files that lose nothing, on disks that refuse and processes that die."""

import errno
import os
from contextlib import closing

import pytest

from namm_xmodal.disk import append_only
from namm_xmodal.disk.append_only import AppendOnlyFile, append_line
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text, replacing
from namm_xmodal.errors import DataError


def opened(path):
    return closing(AppendOnlyFile(path, error=DataError, elsewhere="choose another folder"))


def refuse(number):
    def raises(*_):
        raise OSError(number, os.strerror(number))

    return raises


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_refused_line_leaves_the_file_as_it_was(tmp_path, monkeypatch, number):
    path = tmp_path / "new" / "lines"
    with opened(path) as file:
        file.append("one")
        with monkeypatch.context() as patch:
            patch.setattr(append_only.os, "fsync", refuse(number))
            with pytest.raises(OSError, match=os.strerror(number)):
                file.append("two")
            with pytest.raises(OSError, match=os.strerror(number)):
                append_line(path, "three")
        file.append("four")
        assert file.read() == b"one\nfour\n"


def test_ctrl_c_in_the_middle_of_a_line(tmp_path, monkeypatch):
    path = tmp_path / "lines"
    append_line(path, "one")

    def interrupt(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(append_only.os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            append_line(path, "two")
    assert path.read_bytes() == b"one\n"


def test_a_line_that_was_cut_off_can_be_dropped(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw")
    with opened(path) as file:
        whole, _, torn = file.read().rpartition(b"\n")
        assert torn == b"tw"
        file.cut(len(whole) + 1)
        file.append("two")
    assert path.read_bytes() == b"one\ntwo\n"


def test_one_run_at_a_time(tmp_path):
    with (
        opened(tmp_path / "lines"),
        pytest.raises(DataError, match="in use by another run; wait for it or choose anot"),
    ):
        AppendOnlyFile(tmp_path / "lines", error=DataError, elsewhere="choose another folder")
    with opened(tmp_path / "lines"):
        pass


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written \(File exists\); choose another folder"):
        AppendOnlyFile(tmp_path / "file" / "lines", error=DataError, elsewhere="choose another folder")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "new" / "a.json"
    replace_text(path, "old")

    def half():
        with replacing(path) as fresh:
            fresh.write_text("half")
            assert fresh.suffix == ".json"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    with monkeypatch.context() as patch:
        patch.setattr("namm_xmodal.disk.whole_file.os.replace", refuse(errno.ENOSPC))
        with pytest.raises(OSError, match="No space left"):
            replace_text(path, "new")
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]
    assert path.read_text() == "old"
    replace_text(path, "new")
    assert path.read_text() == "new"


def test_trouble_in_words():
    assert disk_trouble(OSError(errno.ENOSPC, "x")) == "the disk is full, free some space and resume"
    assert disk_trouble(OSError(errno.EIO, "Input/output error"), "run again") == (
        "Input/output error, fix this and run again"
    )
