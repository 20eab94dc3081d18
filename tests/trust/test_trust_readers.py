"""Readers that run nothing read the same as the libraries that might."""

import io
import os
import pickle
from contextlib import suppress

import numpy as np
import pytest
import torch
from families import tiny

from namm_xmodal.errors import DataError
from namm_xmodal.trust.archive import parse_npy, read_npz
from namm_xmodal.trust.files import check_file, read_bytes, read_text
from namm_xmodal.trust.json_text import DEEPEST, parse_json
from namm_xmodal.trust.pickled import array_of, attributes_of, read_pickle
from namm_xmodal.trust.torch_file import read_tensors


def state():
    base = torch.arange(40.0).reshape(10, 4)
    model = tiny("llama")
    kinds = {
        str(kind): base.to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int8)
    }
    odd = {"turned": base.t(), "part": base[2:5, 1:], "one": torch.tensor(3.0), "none": torch.empty(0, 4)}
    flags = {"flags": torch.tensor([True, False]), "parameter": model.lm_head.weight, "count": 4, "name": "x"}
    return {**model.state_dict(), **kinds, **odd, **flags}


@pytest.mark.parametrize("old", [False, True], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("inside", [None, "state"])
def test_tensors_are_those_that_torch_saved(tmp_path, old, inside):
    saved = state()
    torch.save(saved if inside is None else {"other": torch.ones(3), "state": saved}, tmp_path / "a.pt",
               _use_new_zipfile_serialization=not old)  # fmt: skip
    for source in (tmp_path / "a.pt", (tmp_path / "a.pt").read_bytes()):
        found = read_tensors(source, error=DataError, expected="tensors", inside=inside)
        wanted = {name: value for name, value in saved.items() if isinstance(value, torch.Tensor)}
        assert list(found) == list(wanted)
        assert all(torch.equal(found[name], value) for name, value in wanted.items())
        assert all(found[name].dtype == value.dtype for name, value in wanted.items())
    few = read_tensors(
        tmp_path / "a.pt", error=DataError, expected="tensors", inside=inside, wanted=lambda n: n == "one"
    )
    assert list(few) == ["one"]


def test_an_ordered_dictionary_with_attributes_is_one(tmp_path):
    saved = torch.nn.Linear(2, 3).state_dict()
    assert saved._metadata
    torch.save(saved, tmp_path / "a.pt")
    assert list(read_tensors(tmp_path / "a.pt", error=DataError, expected="tensors")) == ["weight", "bias"]


def test_tensors_of_other_kinds_are_refused_by_name(tmp_path):
    torch.save({"a": torch.ones(3, 3).to_sparse()}, tmp_path / "a.pt")
    with pytest.raises(DataError, match=r"a has an unsupported type \(torch._utils._rebuild_sparse_tensor\)"):
        read_tensors(tmp_path / "a.pt", error=DataError, expected="tensors")
    torch.save({"a": torch.ones(100)}, tmp_path / "a.pt")
    with pytest.raises(DataError, match="larger than its stored data, or than the limit"):
        read_tensors(tmp_path / "a.pt", error=DataError, expected="tensors", most=399)


NAMES = ("numpy.", "_codecs.encode", "__builtin__.bytes")


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_are_those_that_numpy_pickled(protocol):
    grid = np.arange(6.0).reshape(2, 3)
    for value in (grid, np.asfortranarray(grid), grid[:, ::2], np.arange(3, dtype=">i4"), np.float32(2), np.array(3.0),
                  np.zeros(0), np.zeros((0, 4)), np.array([True]), np.float16([1]), 2.5, 7, True, [1, 2.0]):  # fmt: skip
        found = array_of(read_pickle(io.BytesIO(pickle.dumps(value, protocol)), NAMES))
        assert np.array_equal(found, np.asarray(value, dtype=np.float64))
        assert found.dtype == np.float64


@pytest.mark.parametrize("value", [np.array([{}]), np.array(["a"]), np.array([1j]), np.zeros(2, "f4,f4"),
                                   np.array(["2020-01-01"], "M8[D]"), {}, "a", None, [[1]], [{}]])  # fmt: skip
def test_what_is_no_plain_array_is_refused(value):
    with pytest.raises(ValueError, match=r"expected|an array"):
        array_of(read_pickle(io.BytesIO(pickle.dumps(value)), NAMES))


class Thing:
    pass


@pytest.mark.parametrize("protocol", range(2, 6))
def test_objects_are_their_attributes(protocol):
    thing = Thing()
    thing.mean, thing.inner, thing.rest = np.arange(3.0), Thing(), {"a": [1, (2, 3)], 4: [5, 6]}
    thing.inner.clip = 10.0
    found = attributes_of(read_pickle(io.BytesIO(pickle.dumps(thing, protocol)), (*NAMES, f"{__name__}.Thing")))
    assert array_of(found["mean"]).tolist() == [0, 1, 2]
    assert attributes_of(found["inner"]) == {"clip": 10.0}
    assert found["rest"] == {"a": [1, (2, 3)], 4: [5, 6]}
    assert attributes_of(3) == {}


def test_a_damaged_pickle_is_refused():
    whole = pickle.dumps({"a": np.arange(30.0), "b": [Thing(), "text", (1, 2)]})
    rng = np.random.default_rng(0)
    for _ in range(2000):
        damaged = bytearray(whole)
        for at in rng.integers(0, len(whole), rng.integers(1, 6)):
            damaged[at] = rng.integers(256)
        try:
            read_pickle(io.BytesIO(damaged[: rng.integers(1, len(whole) + 1)]), (*NAMES, f"{__name__}.Thing"))
        except ValueError:
            pass


def test_a_damaged_file_of_torch_raises_nothing_else():
    rng = np.random.default_rng(0)
    for old in (False, True):
        buffer = io.BytesIO()
        torch.save({"a": torch.ones(3, 2), "b": torch.arange(4)}, buffer, _use_new_zipfile_serialization=not old)
        whole = buffer.getvalue()
        for _ in range(500):
            damaged = bytearray(whole)
            for at in rng.integers(0, len(whole), rng.integers(1, 6)):
                damaged[at] = rng.integers(256)
            with suppress(DataError):
                read_tensors(bytes(damaged), error=DataError, expected="tensors", name="a.pt")


def test_npz_files_are_those_that_numpy_saved(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.asfortranarray(np.ones((3, 2))), "c": np.array("text"),
              "d": np.array(True), "e": np.zeros((0, 3), np.float32)}  # fmt: skip
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **arrays)
        found = read_npz(tmp_path / "a.npz", error=DataError, expected="arrays")
        assert list(found) == list(arrays)
        assert all(
            np.array_equal(found[name], value) and found[name].dtype == value.dtype for name, value in arrays.items()
        )
    with pytest.raises(DataError, match="unpacked, expected at most"):
        read_npz(tmp_path / "a.npz", error=DataError, expected="arrays", most=200)
    with pytest.raises(ValueError, match="magic"):
        parse_npy(b"text")


def test_json_is_bounded_in_depth():
    deep = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json('{"a": [1, {"b": null}], "c": "[[["}') == {"a": [1, {"b": None}], "c": "[[["}
    assert parse_json("3") == 3
    assert parse_json(deep)
    for bad in (f"[{deep}]", f'{{"a": {deep}}}', "[" * 100_000, '{"a":' * 100_000, "1" * 5000, "", "{]"):
        with pytest.raises(ValueError, match=r"nested|limit|Expecting"):
            parse_json(bad)


def test_only_regular_files_of_bounded_size_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_bytes(bytes(11))
    (tmp_path / "latin").write_bytes(b"\xe9")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbftext")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "link").symlink_to("marked")
    for name, said in (("pipe", "it is a named pipe"), ("long", "it has 11 bytes"), ("absent", "no such file"),
                       ("", "it is a folder"), ("circle", "cannot be read"), ("a\0b", "cannot be read")):  # fmt: skip
        with pytest.raises(DataError, match=f"{said}.*; expected a text"):
            read_bytes(tmp_path / name, error=DataError, expected="a text", most=10)
    with pytest.raises(DataError, match="it is a device"):
        check_file(tmp_path.joinpath("/dev/zero"), error=DataError, expected="a text")
    with pytest.raises(DataError, match="it is too long"):
        read_bytes(tmp_path.joinpath("/proc/self/maps"), error=DataError, expected="a text", most=10)
    with pytest.raises(DataError, match="not UTF-8 text at byte 0"):
        read_text(tmp_path / "latin", error=DataError, expected="a text")
    assert read_text(tmp_path / "link", error=DataError, expected="a text") == "text"
