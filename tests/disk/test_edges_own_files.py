"""Single outputs: never an input, never a file that the package did not write."""

import os

import pytest
from matplotlib.figure import Figure

from namm_xmodal.disk.own_files import check_outputs, is_own
from namm_xmodal.errors import FolderError
from namm_xmodal.report.picture import save_picture


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_own_pictures_are_known_and_others_refused(tmp_path, suffix):
    own, other = tmp_path / f"own{suffix}", tmp_path / f"other{suffix}"
    figure = Figure()
    figure.subplots().plot([1, 2], label="namm-xmodal")
    save_picture(figure, own, 50)
    figure.savefig(other)
    check_outputs([own, tmp_path / "new.png"])
    with pytest.raises(FolderError, match="already exists and was not written by namm-xmodal; remove it, or choose"):
        check_outputs([other])
    before = own.read_bytes()
    save_picture(figure, own, 50)
    assert own.read_bytes() == before


@pytest.mark.parametrize(
    "content", ["", "{}", "namm-xmodal", '{"tool": "namm-xmodal 0.1"}', '[{"software": "namm-xmodal"}]']
)
def test_a_file_that_only_speaks_of_the_package_is_not_its_own(tmp_path, content):
    for suffix in (".json", ".png", ".svg", ".txt"):
        (tmp_path / f"a{suffix}").write_text(content)
        assert not is_own(tmp_path / f"a{suffix}")


def test_a_name_that_cannot_be_used(tmp_path):
    with pytest.raises(FolderError, match=r"cannot be used \(File name too long\); choose another name"):
        check_outputs([tmp_path / ("x" * 300 + ".png")])


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_an_input_under_another_name_is_an_input(tmp_path, link):
    (tmp_path / "notes.json").write_text("{}")
    link(tmp_path / "notes.json", tmp_path / "keep.json")
    with pytest.raises(FolderError, match=r"keep\.json is an input of this command and cannot be overwritten"):
        check_outputs([tmp_path / "keep.png", tmp_path / "keep.json"], [tmp_path / "notes.json"])
