"""A folder says whose it is: one command claims it under a lock, and no other one's files are ever replaced."""

import json

import pytest
from killing import in_fork

from namm_xmodal.disk.owned_folder import OwnedFolder
from namm_xmodal.disk.owner import MARKER, owner_of
from namm_xmodal.errors import FolderError, FolderInUseError

HEADERS = {
    "evolve": ("journal.jsonl", '{"kind":"run","format":1,"created":"2026-01-01","config":"abc"}'),
    "warm-start": ("gradient.jsonl", '{"kind": "run", "config": "abc"}'),
    "eval": ("results.jsonl", '{"format":1,"settings":{"tasks":{},"policies":{}}}'),
    "rollout": ("results.jsonl", '{"format":1,"settings":{"episodes":3}}'),
    "video-qa": ("results.jsonl", '{"format":1,"settings":{"benchmark":"generated"}}'),
    "prepare rl": ("journal.jsonl", '{"stage":"hopper-long/seed-0","result":{}}'),
    "prepare video": ("journal.jsonl", '{"done": 20, "seconds": 1.0}'),
}


def folder(path, command="eval", **more):
    return OwnedFolder(path, command, ("results.jsonl", "config.yaml", "policy"), **more)


def files(path):
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_a_claim_leaves_a_marker_and_can_be_repeated(tmp_path):
    for _ in range(2):
        with folder(tmp_path / "a" / "b").claimed():
            (tmp_path / "a" / "b" / "config.yaml").write_text("")
    assert owner_of(tmp_path / "a" / "b") == "eval"
    assert json.loads((tmp_path / "a" / "b" / MARKER).read_text())["software"].startswith("namm-xmodal ")


@pytest.mark.parametrize("marker", [None, b"", b"{", b"[]\n", b'{"software":"x"}\n'])
def test_a_folder_whose_marker_is_lost_is_known_by_its_journal_and_marked_again(tmp_path, marker):
    (tmp_path / "results.jsonl").write_text('{"format":2,"created":"2026-01-01T00:00:00+00:00"}\n')
    if marker is not None:
        (tmp_path / MARKER).write_bytes(marker)
    with pytest.raises(FolderError, match="was made by `namm-xmodal eval`"):
        folder(tmp_path, "evolve").check()
    with folder(tmp_path).claimed():
        pass
    assert json.loads((tmp_path / MARKER).read_text())["command"] == "eval"


@pytest.mark.parametrize("owner", HEADERS)
def test_a_folder_from_before_the_marker_is_known_by_its_journal(tmp_path, owner):
    name, header = HEADERS[owner]
    (tmp_path / name).write_text(header + "\n")
    (tmp_path / "config.yaml").write_text("tasks: {}\n")
    before = files(tmp_path)
    with folder(tmp_path, owner).claimed():
        pass
    assert files(tmp_path).keys() - before.keys() == {MARKER}
    other = "eval" if owner != "eval" else "evolve"
    with pytest.raises(FolderError, match=f"was made by `namm-xmodal {owner}`, expected a new folder or one of"):
        folder(tmp_path, other).check()


def test_files_that_are_nobodys_are_not_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with folder(tmp_path).claimed():
        (tmp_path / "results.jsonl").write_text("x")
    (tmp_path / "other").mkdir()
    for name in ("config.yaml", "policy/config.json"):
        place = tmp_path / "other" / name.replace("/", "-")
        (place / name).parent.mkdir(parents=True)
        (place / name).write_text("mine")
        before = files(tmp_path)
        with pytest.raises(FolderError, match=f"holds {name.split('/')[0]}, which `namm-xmodal eval` did not make"):
            with folder(place).claimed():
                pass
        assert files(tmp_path) == before


def test_an_input_or_a_file_is_no_folder_to_write_into(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "model")
    (tmp_path / "file").write_text("mine")
    for given in ("model", "link", "model/../model"):
        with pytest.raises(FolderError, match="is an input of this command and cannot be its output"):
            folder(tmp_path / given, inputs=[tmp_path / "model"]).check()
    with pytest.raises(FolderError, match="file: is a file, expected a folder or a new name; choose another --run"):
        folder(tmp_path / "file", option="--run").check()


@pytest.mark.parametrize("name", ["x" * 300, "file/inside", "nowhere", "marked"])
def test_places_that_cannot_be_used(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "absent")
    (tmp_path / "marked" / MARKER).mkdir(parents=True)
    with pytest.raises(
        FolderError, match=r"cannot be (used|written) \(.*\); choose another --output|it is a folder; expected"
    ):
        with folder(tmp_path / name).claimed():
            pass


def test_two_processes_cannot_hold_one_folder(tmp_path):
    place = tmp_path / "out"

    def intrude():
        with pytest.raises(FolderInUseError, match="/out: in use by another run; wait for it or choose another --out"):
            with folder(place).claimed():
                pass

    with folder(place).claimed():
        (place / "config.yaml").write_text("")
        assert in_fork(intrude)
    assert in_fork(lambda: folder(place).claimed().__enter__())


def test_a_command_that_writes_nothing_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), folder(tmp_path / "a" / "b").claimed():
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_killed_while_claiming(tmp_path):
    place = tmp_path / "out"

    def claim():
        with folder(place, "evolve").claimed():
            (place / "config.yaml").write_text("")

    number = 0
    while not in_fork(claim, kill_at=(number := number + 1)):
        with folder(place, "rollout").claimed():  # nothing had been written, so it is free
            (place / "config.yaml").write_text("")
        for each in place.iterdir():
            each.unlink()
        place.rmdir()
    assert number > 3


def test_what_killed_processes_left_is_removed_but_not_from_a_folder_that_is_claimed_inside(tmp_path):
    place = tmp_path / "out"
    left = (".config.123.part.yaml", ".mean.77.part", "policy/.config.5.part.json", ".saving-x/model")
    kept = ("mine.part", ".hidden", "policy/config.json", "held_out/.results.8.part.jsonl", f"held_out/{MARKER}")
    moved = ".model.9.old/config.json"  # killed between the two renames of a folder
    with folder(place).claimed():
        pass
    for name in (*left, *kept, moved):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
    (place / MARKER).write_text('{"command": "eval"}\n')
    with folder(place).claimed():
        pass
    assert files(place).keys() == {*kept, MARKER, "model/config.json"}
