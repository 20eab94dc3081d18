"""The results file: nothing is lost, nothing foreign is mixed in."""

import errno
import json
import os
import stat

import pytest

from namm_xmodal.disk import append_only
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.journal import Journal, set_aside
from namm_xmodal.evaluation.record import Record

HEADER = {"config": "abc"}


def make(sample=0, **changes):
    values = {
        "task": "keys", "sample": sample, "policy": "h2o", "budget": 0.5, "protocol": "clock",
        "scores": {"probability": 0.1 + sample}, "kept_fraction": 0.5, "live_bytes": 1, "allocated_bytes": 2,
        "full_bytes": 3, "prompt_tokens": 9, "fingerprint": "f", "statistics": "", "text": "ä\u2028ö", "cpu_seconds": 0.1,
        "started": "2026-01-01T00:00:00+00:00",
        "seed": 0, "config": "abc", "model": {"name": "m"}, "versions": {"torch": "2"},
    }  # fmt: skip
    return Record(**{**values, **changes})


def write(path, count=3):
    with Journal(path, HEADER) as journal:
        for sample in range(count):
            journal.append(make(sample))
    return path


def test_what_was_written_is_read(tmp_path):
    path = write(tmp_path / "deep" / "results.jsonl")
    with Journal(path, HEADER) as journal:
        assert journal.records == [make(0), make(1), make(2)]
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[0])["config"] == "abc"


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_torn_last_line_is_dropped_with_a_notice(tmp_path, cut):
    path = write(tmp_path / "results.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    notices = []
    with Journal(path, HEADER, notices.append) as journal:
        assert len(journal.records) == 2
        journal.append(make(2))
    assert len(notices) == 1
    assert "cut off" in notices[0]
    assert path.read_bytes() == whole


def test_torn_header_starts_anew(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"format": 1, "con')
    with Journal(path, HEADER) as journal:
        journal.append(make())
    with Journal(path, HEADER) as journal:
        assert len(journal.records) == 1


def test_another_configuration_is_refused_and_left_alone(tmp_path):
    path = write(tmp_path / "results.jsonl")
    before = path.read_bytes()
    with pytest.raises(ResultsError, match="configuration abc, this one is xyz; use --fresh"):
        Journal(path, {"config": "xyz"})
    assert path.read_bytes() == before


def test_another_format_is_refused(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text('{"format": 99, "config": "abc"}\n')
    with pytest.raises(ResultsError, match="format 99, this version reads 1"):
        Journal(path, HEADER)


@pytest.mark.parametrize("line", ["not json", "[1]", '{"task": "keys"}'])
def test_edited_lines_are_errors(tmp_path, line):
    path = write(tmp_path / "results.jsonl", 1)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ResultsError) as caught:
        Journal(path, HEADER)
    assert "\n" not in str(caught.value)


class FullDisk:
    """`os.fsync` and `write` of a disk that holds only so many bytes more."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        taken = min(self.room, len(data))
        self.room -= taken
        if taken == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(bytes(data[:taken]))

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 100])
def test_full_disk_is_one_line_and_keeps_everything_before(tmp_path, room):
    path = tmp_path / "results.jsonl"
    with Journal(path, HEADER) as journal:
        journal.append(make(0))
        good = path.read_bytes()
        journal._file._file = FullDisk(journal._file._file, room)
        with pytest.raises(ResultsError, match="1 results before this one are kept; the disk is full, free"):
            journal.append(make(1))
    assert path.read_bytes() == good
    with Journal(path, HEADER) as journal:
        assert journal.records == [make(0)]


def test_every_line_is_on_disk_before_append_returns(tmp_path, monkeypatch):
    synced = []

    def note(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # the folder is synced too, when the file is made
            synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(append_only.os, "fsync", note)
    path = write(tmp_path / "results.jsonl", 2)
    sizes = [len(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert synced == [sizes[0], sum(sizes[:2]), sum(sizes)]


def test_two_runs_in_one_folder(tmp_path):
    with Journal(tmp_path / "results.jsonl", HEADER), pytest.raises(ResultsError, match="in use by another run"):
        Journal(tmp_path / "results.jsonl", HEADER)


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        Journal(tmp_path / "file" / "results.jsonl", HEADER)


def test_fresh_keeps_the_old_file(tmp_path):
    path = write(tmp_path / "results.jsonl")
    before = path.read_bytes()
    kept = set_aside(path)
    assert not path.exists()
    assert kept.read_bytes() == before
    assert set_aside(path) is None


def test_scores_that_are_not_finite_are_refused():
    with pytest.raises(ResultsError, match="keys, sample 0, policy h2o: nll is nan"):
        make(scores={"nll": float("nan")}).to_json()
