"""The results file: nothing is lost, nothing foreign is mixed in."""

import errno
import json
import os
import stat
from dataclasses import replace

import pytest
from made_records import made_plan, made_records

from namm_xmodal.disk import append_only
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.journal import Journal, read_journal, set_aside
from namm_xmodal.evaluation.modality import Kept, Outcome
from namm_xmodal.evaluation.record import Record
from namm_xmodal.modalities.table import MODALITIES

FACTS = {name: modality.facts for name, modality in MODALITIES.items()}


@pytest.fixture(scope="module")
def records():
    """One of each modality; text that JSON must escape is in the first."""
    _, plan = made_plan()
    language, *others = [made_records([section])[0] for section in plan]
    return [replace(language, text="ä\u2028ö"), *others]


def write(path, records):
    with Journal(path, FACTS) as journal:
        for record in records:
            journal.append(record)
    return path


def test_what_was_written_is_read(tmp_path, records):
    path = write(tmp_path / "deep" / "results.jsonl", records)
    with Journal(path, FACTS) as journal:
        assert journal.records == records
    assert read_journal(path, FACTS) == records
    lines = path.read_text().splitlines()
    assert len(lines) == 4
    assert json.loads(lines[0])["format"] == 2


def test_settings_of_sections_are_read(tmp_path, records):
    with Journal(tmp_path / "results.jsonl", FACTS) as journal:
        journal.add_section("language", "abc", {"seed": 1})
        journal.append(records[0])
        journal.add_section("rl@tmaze", "def", {"seed": 2})
    with Journal(tmp_path / "results.jsonl", FACTS) as journal:
        assert journal.settings == {"language": {"seed": 1}, "rl@tmaze": {"seed": 2}}
        assert journal.records == records[:1]


def test_records_of_a_modality_that_is_not_at_hand_are_left_alone(tmp_path, records):
    path = write(tmp_path / "results.jsonl", records)
    before = path.read_bytes()
    with Journal(path, {"language": FACTS["language"]}) as journal:
        assert journal.records == records[:1]
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_torn_last_line_is_dropped_with_a_notice(tmp_path, cut, records):
    path = write(tmp_path / "results.jsonl", records)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    notices = []
    assert read_journal(path, FACTS, notices.append) == records[:2]
    assert path.read_bytes() == whole[:-cut]  # reading changes nothing
    with Journal(path, FACTS, notices.append) as journal:
        assert len(journal.records) == 2
        journal.append(records[2])
    assert "incomplete" in notices[0]
    assert "incomplete" in notices[1]
    assert path.read_bytes() == whole


def test_torn_header_starts_from_scratch(tmp_path, records):
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"format": 2, "cre')
    write(path, records[:1])
    assert read_journal(path, FACTS) == records[:1]


@pytest.mark.parametrize("number", [1, 99])
def test_another_format_is_refused_and_left_alone(tmp_path, number):
    path = tmp_path / "results.jsonl"
    path.write_text(f'{{"format": {number}, "config": "abc"}}\n')
    before = path.read_bytes()
    for read in (Journal, read_journal):
        with pytest.raises(ResultsError, match=f"format {number}, this version reads 2; choose another --output, or"):
            read(path, FACTS)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "line", ["not json", "[1]", '{"section": "language", "task": "keys"}', '{"settings_of": "language"}']
)
def test_edited_lines_are_errors(tmp_path, line, records):
    path = write(tmp_path / "results.jsonl", records[:1])
    with path.open("a") as file:
        file.write(line + "\n")
    for read in (Journal, read_journal):
        with pytest.raises(ResultsError, match=r"results\.jsonl: line 3") as caught:
            read(path, FACTS)
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
def test_full_disk_is_one_line_and_keeps_everything_before(tmp_path, room, records):
    path = tmp_path / "results.jsonl"
    with Journal(path, FACTS) as journal:
        journal.append(records[0])
        good = path.read_bytes()
        journal._file._file = FullDisk(journal._file._file, room)
        with pytest.raises(ResultsError, match="the 1 earlier results are kept; the disk is full, free"):
            journal.append(records[1])
    assert path.read_bytes() == good
    assert read_journal(path, FACTS) == records[:1]


def test_every_line_is_on_disk_before_append_returns(tmp_path, monkeypatch, records):
    synced = []

    def note(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # the folder is synced too, when the file is made
            synced.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(append_only.os, "fsync", note)
    path = write(tmp_path / "results.jsonl", records[:2])
    sizes = [len(line) for line in path.read_bytes().splitlines(keepends=True)]
    assert synced == [sizes[0], sum(sizes[:2]), sum(sizes)]


def test_two_runs_in_one_folder(tmp_path):
    with Journal(tmp_path / "results.jsonl", FACTS), pytest.raises(ResultsError, match="in use by another run"):
        Journal(tmp_path / "results.jsonl", FACTS)


def test_unwritable_place(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot be written"):
        Journal(tmp_path / "file" / "results.jsonl", FACTS)


def test_fresh_keeps_the_old_file(tmp_path, records):
    path = write(tmp_path / "results.jsonl", records)
    before = path.read_bytes()
    kept = set_aside(path)
    assert not path.exists()
    assert kept.read_bytes() == before
    assert set_aside(path) is None


def test_scores_that_are_not_finite_are_refused():
    _, (section, *_) = made_plan()
    outcome = Outcome(section.items[0], section.arms[0], {"nll": float("nan")}, Kept(), {}, None, {})
    with pytest.raises(ResultsError, match=r"language: keys/0, policy full: nll is nan, expected a finite score"):
        Record.of("language", outcome, seed=0, digest="abc", versions={}, hardware={})
