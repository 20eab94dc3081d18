"""The ways to replace a file, killed before each of their operations: a reader finds the old content or the new one."""

import itertools
import shutil

import pytest
import torch
from killing import in_fork

from namm_xmodal import Namm
from namm_xmodal.disk.append_only import append_line
from namm_xmodal.disk.owned_folder import remove_unfinished
from namm_xmodal.disk.whole_file import replace_text, replacing_folder
from namm_xmodal.errors import CheckpointError


def at_every_operation(prepare, act):
    """Yields after each kill; ends when `act` came to its end."""
    for number in itertools.count(1):
        prepare()
        if in_fork(act, kill_at=number):
            return
        yield number


def test_a_text(tmp_path):
    path = tmp_path / "a.json"
    for _ in at_every_operation(lambda: path.write_text("old"), lambda: replace_text(path, "new")):
        assert path.read_text() in ("old", "new")
        remove_unfinished(tmp_path)
        assert [each.name for each in tmp_path.iterdir()] == ["a.json"]
    assert path.read_text() == "new"


def test_a_folder(tmp_path):
    path = tmp_path / "model"

    def old():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        (path / "config.json").write_text("old")

    def act():
        with replacing_folder(path) as fresh:
            (fresh / "config.json").write_text("new")
            (fresh / "weights").write_text("new")

    seen = set()
    for _ in at_every_operation(old, act):
        remove_unfinished(tmp_path)
        assert [each.name for each in tmp_path.iterdir()] == ["model"]
        texts = {each.read_text() for each in path.iterdir()}
        assert len(texts) == 1  # never a mixture
        seen |= texts
    assert seen == {"old", "new"}


def policy(seed):
    return Namm.untrained("random", sigma=0.3, seed=seed, threshold=float(seed))


def test_a_policy_is_the_old_one_or_the_new_one(tmp_path):
    place = tmp_path / "policy"
    old, new = policy(1), policy(2)

    def prepare():
        shutil.rmtree(place, ignore_errors=True)
        old.save_pretrained(place)

    seen = []
    for _ in at_every_operation(prepare, lambda: new.save_pretrained(place)):
        found = Namm.from_pretrained(place)
        whole = old if found.threshold == 1 else new
        assert torch.equal(found.parameters, whole.parameters)
        seen.append(found.threshold)
        old.save_pretrained(place)  # over what the killed process left
        remove_unfinished(place)
        assert sorted(each.name for each in place.iterdir()) == ["config.json", "model.safetensors"]
        assert torch.equal(Namm.from_pretrained(place).parameters, old.parameters)
    assert sorted(seen) == seen
    assert set(seen) == {1.0, 2.0}


def test_weights_of_another_save_are_refused(tmp_path):
    policy(1).save_pretrained(tmp_path / "one")
    policy(2).save_pretrained(tmp_path / "two")
    shutil.copy(tmp_path / "two" / "model.safetensors", tmp_path / "one" / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"does not belong to config\.json; copy both files"):
        Namm.from_pretrained(tmp_path / "one")


def test_a_line_that_was_cut_off_is_not_continued(tmp_path):
    path = tmp_path / "lines"
    append_line(path, "one")
    for _ in at_every_operation(lambda: None, lambda: append_line(path, "a longer line")):
        append_line(path, "two")
        assert set(path.read_text().splitlines()) <= {"one", "two", "a longer line"}
