"""Suites that are not as they should be: folders, files, tables and items."""

import json

import pytest
from evaluations import make, plan_of
from suite_folders import (
    infinitebench,
    longbench,
    longbench_row,
    write_lines,
)
from suite_tasks import BYTES, OWN, section, task_of

from namm_xmodal.errors import ConfigError, DataError, ItemError, NammError
from namm_xmodal.language.suites.layout import find_files
from namm_xmodal.language.suites.rows import index_rows
from namm_xmodal.language.suites.table import find_suite


def test_longbench_layouts_that_are_not_there(tmp_path):
    def refused(**keys):
        with pytest.raises(NammError) as caught:
            plan_of(make(language=section("longbench", tmp_path / "x", **keys)))
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "data: missing; LongBench is read from a folder that you have downloaded" in refused(data=None)
    assert f"data: {tmp_path / 'x'}: no such folder; expected LongBench" in refused()
    (tmp_path / "x").mkdir()
    (tmp_path / "x/other.csv").write_text("")
    line = refused()
    assert "no file of LongBench; expected data/narrativeqa.jsonl and its kin" in line and "found other.csv" in line
    longbench(tmp_path / "x", ["hotpotqa"])
    assert "subset: trec is not there; expected data/trec.jsonl or trec.jsonl" in refused(subset=["hotpotqa", "trec"])
    assert "subset: unknown task 'trek': did you mean trec" in refused(subset="trek")
    assert "suite: unknown suite 'longbank': did you mean longbench" in refused(suite="longbank")
    (tmp_path / "x/data/hotpotqa.jsonl").write_text("\n")
    assert "data: hotpotqa: " in refused() and "no items in it" in refused()


@pytest.mark.parametrize("subset", [None, ["trec"]])
def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path, subset):
    folder = longbench(tmp_path, ["hotpotqa"])
    (folder / "trec.jsonl").mkdir()
    with pytest.raises(DataError) as caught:
        find_files(find_suite("longbench"), str(folder), subset)
    assert str(caught.value) == (
        f"data: {folder}/trec.jsonl: cannot be read, it is a folder; expected a file with the items of trec"
    )
    write_lines(folder / "data/trec.jsonl", [longbench_row("trec", 0)])  # a file in the other layout will do
    assert find_files(find_suite("longbench"), str(folder), subset).files["trec"] == folder / "data/trec.jsonl"


def test_what_may_not_be_read_is_one_line(tmp_path, unreadable):
    folder = longbench(tmp_path / "there", ["hotpotqa"])
    task = task_of("longbench", folder, "hotpotqa")
    with unreadable("open", "hotpotqa.jsonl"), pytest.raises(DataError) as caught:
        len(task)
    assert str(caught.value) == f"{task.file}: cannot be read (Permission denied); expected the items of a task"
    assert len(task) == 2
    with unreadable("open", "hotpotqa.jsonl"), pytest.raises(DataError) as caught:  # no broken item: it ends the run
        task.sample(0, BYTES)
    assert not isinstance(caught.value, ItemError) and "cannot be read (Permission denied)" in str(caught.value)
    with unreadable("stat", "there"), pytest.raises(DataError) as caught:
        find_files(find_suite("longbench"), str(folder), None)
    assert str(caught.value).startswith(
        f"data: {folder}: cannot be read (Permission denied); expected data/narrativeqa"
    )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"suite": None}, "data: only works with a suite; set suite"),
        ({"suite": None, "data": None}, "tasks: missing; expected tasks, or suite"),
        ({"scoring": "likelihood"}, "scoring: .*answers of a suite are generated; add generate"),
        ({"subset": ["a", "a"]}, "contains a value twice"),
    ],
)
def test_keys_that_do_not_fit(tmp_path, keys, said):
    with pytest.raises(ConfigError, match=said):
        make(language=section("longbench", tmp_path, **keys))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("tokens: 4", "tokens: four"), r"tasks\.locks\.tokens: 'four': input should be a valid integer"),
        (("tokens: 4", "token: 4"), r"tasks\.locks\.(token: unknown key; did you mean tokens|tokens: missing)"),
        (("[f1]", "[f1_jp]"), r"tasks\.locks\.metrics: 'f1_jp': no metric of generated text; did you mean f1_ja"),
        (("{context}", "it"), r"tasks\.locks\.prompt: 0 times {context}, expected it once"),
        (("{context}", "{context} {0}"), r"tasks\.locks\.prompt: \{0\}: expected names of fields"),
        (("the (key)", "the key"), r"find\.thing\.pattern: 'the key': 0 groups, expected one"),
        (("answer: right", "answers: right"), r"answers: unknown key; did you mean answer"),
        (("name: Mine", ""), r"name: missing"),
        (("name: Mine", "name: Mine\nhub: nonsense"), r"hub: 'nonsense': expected a dataset repository, owner/name"),
        (('"{task}.jsonl"', '"/{task}.jsonl"'), r"files: '/{task}.jsonl': expected a path below the folder"),
        (('"{task}.jsonl"', '""'), r"files: '': expected a path below the folder"),
    ],
)
def test_mistakes_in_a_table_are_one_line(tmp_path, change, said):
    (tmp_path / "mine.yaml").write_text(OWN.replace(*change))
    with pytest.raises(DataError, match=said) as caught:
        find_suite(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"context": " "}, "context is empty"),
        ({"context": None}, "lacks context"),
        ({"context": 3}, "context is of type int, expected a text"),
        ({"answers": None}, "answers is None"),
        ({"answers": [""]}, "answers is empty"),
        ({"answers": ["12"]}, "reference '12'"),
        ({"all_classes": "x"}, "all_classes is x, expected a list of texts, or null"),
    ],
)
def test_longbench_items_that_cannot_be_asked(tmp_path, change, said):
    write_lines(tmp_path / "passage_retrieval_en.jsonl", [{**longbench_row("passage_retrieval_en", 0), **change}])
    with pytest.raises(ItemError, match=rf"passage_retrieval_en\.jsonl:1: {said}"):
        task_of("longbench", tmp_path, "passage_retrieval_en").sample(0, BYTES)


@pytest.mark.parametrize("content", ["{}", "[{}", '[{"a": ]', "", "[1, x]", "\udcff"])
def test_lists_that_are_none(tmp_path, content):
    path = tmp_path / "data.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"data\.json: (cannot be read|no items)"):
        index_rows(path)


@pytest.mark.parametrize(
    ("label", "change", "said"),
    [
        ("hotpotqa", {"input": "Cut off \ud83d"}, r"a lone surrogate, \\ud83d"),
        ("trec", {"answers": ["Zzz"], "all_classes": ["Date"]}, "answer 'Zzz' is none of its labels, Date"),
    ],
)
def test_longbench_items_that_nothing_could_answer_are_skipped(tmp_path, label, change, said):
    folder = longbench(tmp_path, [label])
    rows = [longbench_row(label, 0), {**longbench_row(label, 1), **change}]
    (folder / f"data/{label}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = task_of("longbench", folder, label)
    task.sample(0, BYTES)
    with pytest.raises(ItemError, match=said):
        task.sample(1, BYTES)


def test_infinitebench_numbers_are_numbers(tmp_path):
    folder = infinitebench(tmp_path, ["passkey"])
    file = folder / "passkey.jsonl"
    row = json.loads(file.read_text().splitlines()[0])
    write_lines(file, [{**row, "answer": "none"}])
    with pytest.raises(ItemError, match=r"answer 'none': first_integer can find none such; expected \[0-9\]\+"):
        task_of("infinitebench", folder, "passkey").sample(0, BYTES)
