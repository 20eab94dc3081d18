"""Traces of a text model, a video model and agents: the same files whether or not the collection was cut off."""

import hashlib

import pytest
import torch

from namm_xmodal import Namm
from namm_xmodal.config.train import KINDS
from namm_xmodal.errors import DataError
from namm_xmodal.policies.namm import make_features
from namm_xmodal.traces.collect import collect, read_all, updates_of

GIVEN = {
    "language": {"model": "tiny-random", "count": 3, "tokens": 160, "updates": 2, "heads": 1, "update_every": 32},
    "language@plain": {"model": "tiny-random", "count": 1, "tokens": 160, "repeat": False, "update_every": 64},
    "video": {"model": "llava-small", "count": 1, "options": {"n": 2, "frames": 8}, "updates": 1, "heads": 1},
    "rl@tmaze": {
        "model": "tmaze",
        "model_seeds": [0],
        "environment_options": {"length": 20},
        "count": 2,
        "tokens": 60,
        "heads": 1,
        "update_every": 16,
    },
}
POLICY = Namm.untrained(features=make_features(["key_novelty", "relative_age", {"channel": "mean_attention"}]))


def sources(*names):
    return {name: KINDS[name.partition("@")[0]](**GIVEN[name]) for name in names}


def quiet(done, total, what):
    pass


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.s*")
    }


def test_every_kind_of_source(tmp_path):
    told = []
    collect(sources(*GIVEN), POLICY, tmp_path, lambda *words: told.append(words))
    assert told[0] == (0, 7, "traces of language")
    found = read_all(sources(*GIVEN), POLICY, tmp_path)
    assert [each.seen for each in found["language"]] == [64, 128] * 3
    assert [each.seen for each in found["language@plain"]] == [64, 128]
    assert [each.seen for each in found["rl@tmaze"]] == [16, 32, 48] * 2
    assert len(found["video"]) == 1
    for name, traces in found.items():
        for each in traces:
            heads = len(each.layers)
            assert each.constants.shape == (heads, POLICY.features.num_constants, each.seen)
            assert bool(torch.isfinite(each.constants).all())
            assert bool((each.future >= 0).all() & (each.future <= 1 + 1e-5).all())
            assert float(each.future.max()) > 1e-3, name


def test_what_was_made_is_not_made_again(tmp_path):
    chosen = sources("language")
    collect(chosen, POLICY, tmp_path, quiet)
    before = digests(tmp_path)
    assert len(before) == 3
    (tmp_path / "language" / "0001.safetensors").unlink()  # a run that was killed has no mark that it is done
    (tmp_path / "language" / "about.json").unlink()
    kept = (tmp_path / "language" / "0000.safetensors").stat().st_mtime_ns
    collect(chosen, POLICY, tmp_path, quiet)
    assert digests(tmp_path) == before
    assert (tmp_path / "language" / "0000.safetensors").stat().st_mtime_ns == kept


def test_texts_too_short_for_an_update_are_one_line(tmp_path):
    short = {"language": KINDS["language"](**{**GIVEN["language"], "update_every": 512})}
    with pytest.raises(DataError, match=r"0000: \d+ tokens: the cache is never updated \(update_every=512\)"):
        collect(short, POLICY, tmp_path, quiet)
    with pytest.raises(DataError, match=r"traces.language: .* is not complete; run the command again"):
        read_all(short, POLICY, tmp_path)


def test_traces_of_something_else_are_refused(tmp_path):
    collect(sources("language"), POLICY, tmp_path, quiet)
    before = digests(tmp_path)
    other = {"language": KINDS["language"](**{**GIVEN["language"], "tokens": 200})}
    blind = Namm.untrained(features=make_features(["key_novelty"]))
    for chosen, policy, key in ((other, POLICY, "source"), (sources("language"), blind, "features")):
        for action in (lambda: collect(chosen, policy, tmp_path, quiet), lambda: read_all(chosen, policy, tmp_path)):  # noqa: B023
            with pytest.raises(DataError, match=f"holds traces of another {key} .*choose another --run") as caught:
                action()
            assert "\n" not in str(caught.value)
    assert digests(tmp_path) == before


def test_updates_are_spread_over_the_length():
    assert updates_of(448, 128, 3) == [128, 256, 384]
    assert updates_of(3000, 48, 3) == [1008, 1968, 2976]
    assert updates_of(100, 48, 5) == [48, 96]
    assert updates_of(40, 48, 3) == []
