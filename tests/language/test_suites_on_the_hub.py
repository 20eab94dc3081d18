"""`data: hub`: suites from a dataset repository, which here answers on this machine."""

import errno
import json
import os
import zipfile
from pathlib import Path

import pytest
import yaml
from evaluations import make, plan_of, run
from hub_server import COMMIT, hub
from suite_folders import choubun, infinitebench, longbench

from namm_xmodal.errors import DataError
from namm_xmodal.language.suites import hub as hub_of_suites
from namm_xmodal.language.suites.layout import find_files
from namm_xmodal.language.suites.table import find_suite

OWN = {"longbench": "THUDM/LongBench", "infinitebench": "xinrongzhang2022/InfiniteBench", "choubun": "SakanaAI/ChouBun"}


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches, and the Hub at an address that nobody answers at."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # tests never ask the real one
    monkeypatch.setenv("NAMM_XMODAL_CACHE", str(tmp_path / "cache"))

    def go(address):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        hub_of_suites.hub_commit.cache_clear()  # as a new process would
        hub_of_suites._folder.cache_clear()

    go("http://127.0.0.1:9")
    return go


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "README.md").write_text("A dataset.\n")
    return folder


def zipped(folder, source):
    """As LongBench is published: all its files in data.zip."""
    with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted((source / "data").iterdir()):
            archive.write(file, f"data/{file.name}")
    return folder


def files(suite, data="hub", subset=None):
    return find_files(find_suite(suite), data, subset)


def test_longbench_is_unpacked_once_and_only_what_is_asked_for(tmp_path, caches, repository):
    source = longbench(tmp_path / "published", ["hotpotqa", "trec", "lcc"])
    with hub(OWN["longbench"], zipped(repository, source)) as server:
        caches(server.address)
        found = files("longbench", subset=["hotpotqa"]).files["hotpotqa"]
        assert found.read_bytes() == (source / "data/hotpotqa.jsonl").read_bytes()
        assert {file.name for file in found.parent.iterdir()} == {"hotpotqa.jsonl"}
        assert sum("GET" in line and "data.zip" in line for line in server.asked) == 1
    caches("http://127.0.0.1:9")  # offline from here on
    assert set(files("longbench", subset=["hotpotqa", "trec"]).files) == {"hotpotqa", "trec"}
    everything = files("longbench")
    assert set(everything.files) == {"hotpotqa", "trec", "lcc"} and len(everything.missing) == 18
    found.write_bytes(b"half")  # such as a copy of the cache by hand may leave
    caches("http://127.0.0.1:9")
    assert files("longbench").files["hotpotqa"].read_bytes() == (source / "data/hotpotqa.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("suite", "make_folder", "first", "second"),
    [("infinitebench", infinitebench, "passkey", "kv_retrieval"), ("choubun", choubun, "wiki_qa", "edinet_qa")],
)
def test_infinitebench_and_choubun_fetch_the_files_of_tasks(
    tmp_path, caches, repository, suite, make_folder, first, second
):
    make_folder(repository)
    with hub(OWN[suite], repository) as server:
        caches(server.address)
        assert set(files(suite, subset=[first]).files) == {first}
        assert not any(second in line for line in server.asked)
        caches(server.address)
        assert set(files(suite, subset=[first, second]).files) == {first, second}
    caches("http://127.0.0.1:9")
    assert set(files(suite, subset=[second]).files) == {second}
    with pytest.raises(DataError, match=r"not fetched yet, and fetching failed .* try again with a network"):
        files(suite)


def test_longbench_results_name_the_commit(tmp_path, caches, repository):
    source = longbench(tmp_path / "published", ["hotpotqa"])
    keys = {"model": "tiny-random", "update_every": 128, "budgets": [0.5], "n": 1, "scoring": "generate"}
    keys |= {"suite": "longbench", "policies": {"full": {"policy": "full"}}}
    with hub(OWN["longbench"], zipped(repository, source)) as server:
        caches(server.address)
        records = run(make(language={**keys, "data": "hub"}, output=str(tmp_path / "out")))
    named = f"hub:THUDM/LongBench@{COMMIT}"
    lines = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    assert [line["settings"]["data"] for line in lines if "settings" in line] == [named]
    assert yaml.safe_load((tmp_path / "out/config.yaml").read_text())["language"]["data"] == named
    (plan,) = plan_of(make(language={**keys, "data": named}))
    assert plan.digest == records[0].digest  # written in full, the same run
    folder = run(make(language={**keys, "data": str(source)}, output=str(tmp_path / "other")))
    assert folder[0].scores == records[0].scores


def test_longbench_on_a_hub_that_has_it_not(tmp_path, caches, repository):
    zipped(repository, longbench(tmp_path / "published", ["hotpotqa"]))
    table = tmp_path / "mine.yaml"
    table.write_text(
        "name: Mine\nfiles: ['{task}.jsonl']\ntasks: {a: {prompt: '{context}', tokens: 1, metrics: [f1]}}\n"
    )

    def refused(data, suite="longbench"):
        with pytest.raises(DataError) as caught:
            files(suite, data)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "hub:THUDM/LongBench: not fetched yet, and fetching failed (" in refused("hub")
    with hub(OWN["longbench"], repository, {"data.zip": 403}) as server:
        caches(server.address)
        assert "hub:me/bench: no such dataset, or a private one; check the name" in refused("hub:me/bench")
        assert "hub:THUDM/LongBench@v9: the repository has no branch, tag or commit" in refused("hub@v9")
        assert "fetching failed (" in refused("hub")
        for odd in ("hub:LongBench", "hub:../x", "hub@", "hub:a/b/c", "hub@/etc", "hub@a/../b"):
            assert f"data: {odd}: not a repository; expected hub, hub:owner/name" in refused(odd)
    assert "Mine does not name a repository; expected hub:owner/name, or a folder" in refused("hub", str(table))
    (repository / "data.zip").write_bytes(b"no archive")
    with hub(OWN["longbench"], repository) as server:
        caches(server.address)
        assert "expected the archive of a suite" in refused("hub")


def test_longbench_members_stay_in_their_folder(tmp_path, caches, repository):
    table = tmp_path / "mine.yaml"
    table.write_text(
        "name: Mine\nhub: me/bench\narchive: data.zip\nfiles: ['data/{task}.jsonl', '*/{task}.jsonl']\n"
        "tasks: {hotpotqa: {prompt: '{context}', tokens: 1, metrics: [f1]}, "
        "trec: {prompt: '{context}', tokens: 1, metrics: [f1]}}\n"
    )
    with zipfile.ZipFile(repository / "data.zip", "w") as archive:
        archive.writestr("data/../../../../hotpotqa.jsonl", "{}")
        archive.writestr(f"{tmp_path}/hotpotqa.jsonl", "{}")
        archive.writestr("data/trec.jsonl", "{}")
    with hub("me/bench", repository) as server:
        caches(server.address)
        assert set(files(str(table)).files) == {"trec"}
    assert not list(tmp_path.rglob("hotpotqa.jsonl"))


def test_longbench_when_the_disk_is_full(tmp_path, caches, repository, monkeypatch):
    zipped(repository, longbench(tmp_path / "published", ["hotpotqa"]))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with hub(OWN["longbench"], repository) as server:
        caches(server.address)
        with monkeypatch.context() as broken:
            broken.setattr(Path, "write_bytes", full)
            with pytest.raises(
                DataError, match=r"hotpotqa\.jsonl: cannot be written \(No space left .*NAMM_XMODAL_CACHE"
            ):
                files("longbench")
        assert set(files("longbench").files) == {"hotpotqa"}  # nothing half written is taken for a file


def test_longbench_archives_of_one_repository_stay_apart(tmp_path, caches, repository):
    for name in ("a", "b"):
        with zipfile.ZipFile(repository / f"{name}.zip", "w") as archive:
            archive.writestr("data/hotpotqa.jsonl", f'{{"of": "{name}"}}')
        table = f"extends: longbench\nhub: me/bench\narchive: {name}.zip\n"
        (tmp_path / f"{name}.yaml").write_text(table)
    with hub("me/bench", repository) as server:
        caches(server.address)
        for name in ("a", "b", "a"):
            assert f'"{name}"' in files(str(tmp_path / f"{name}.yaml")).files["hotpotqa"].read_text()
