"""`namm-xmodal report` and `compare` on folders that are incomplete, in use, damaged, of former versions or of plug-ins."""

import json
from dataclasses import replace

import pytest
from killing import in_fork
from made_records import made_plan
from typer.testing import CliRunner

from namm_xmodal import Recency
from namm_xmodal.cli.app import app
from namm_xmodal.cli.folders import eval_folder
from namm_xmodal.disk import append_only
from namm_xmodal.disk.owner import MARKER
from namm_xmodal.evaluation.exhibit import KeptMap
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.policies.table import POLICIES


@pytest.fixture(autouse=True)
def no_models(monkeypatch):
    """What was kept is shown without models, of the arms that are asked for."""
    monkeypatch.setattr(
        MODALITIES["language"],
        "exhibits",
        lambda section, arms: [KeptMap("Kept", arm.name, "layer", "kv head", ((0.5,),)) for arm in arms],
    )


def call(*arguments, code=0):
    done = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "120", "NO_COLOR": "1"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return " ".join(done.stdout.split()), " ".join(done.stderr.split())


def files(folder):
    return {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}


def test_an_incomplete_folder_says_so_everywhere_and_shows_only_arms_with_rows(folder):
    place = folder("a", keep=lambda each: each.number == 0 and each.policy in ("full", "recency"))
    shown, said = call("report", place)
    assert f"note: 6 of 216 results in {place}: incomplete" in said
    assert "6 of 216 results: the evaluation is not complete." in shown
    assert "6 of 216 results: the evaluation is not complete." in " ".join((place / "table.txt").read_text().split())
    page = (place / "report" / "index.html").read_text(encoding="utf-8")
    assert "6 of 216 results:" in page
    (kept,) = json.loads((place / "exhibits.json").read_text())["language"]["exhibits"]
    assert kept["arm"] == "recency, 25%"


def test_a_folder_in_use_is_read_and_nothing_is_written(folder):
    place = folder("a")
    config, _ = made_plan(place, video=None, rl=None)
    before = files(place)

    def read():
        shown, said = call("report", place)
        assert "answer_probability" in shown and "open " not in shown
        assert f"{place}: in use by another run; these are the tables so far, nothing is written" in said

    with eval_folder(config).claimed():
        assert in_fork(read)
    assert files(place) - {MARKER} == before
    call("report", place)
    assert (place / "report" / "index.html").exists()


def test_a_folder_that_cannot_be_written_has_a_remedy_of_this_command(folder, monkeypatch):
    place = folder("a")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(append_only, "_open_locked", refuse)
    _, said = call("report", place, code=2)
    assert said == f"namm-xmodal: {place}: cannot be written (Permission denied); report on a writable copy"


@pytest.mark.parametrize("line", ["{", '{"section": "language"}', '{"settings_of": "language"}'])
def test_a_damaged_folder_names_the_command_that_begins_anew(folder, line):
    place = folder("a", keep=lambda each: each.number == 0)
    with (place / "results.jsonl").open("a") as file:
        file.write(line + "\n")
    for command in (("report", place), ("compare", place, place)):
        _, said = call(*command, code=2)
        assert f"run `namm-xmodal eval {place / 'config.yaml'} --output {place} --fresh` (existing results are" in said
        assert "use --fresh" not in said


def test_a_former_folder_has_a_remedy_of_this_command(folder):
    place = folder("a")
    (place / "results.jsonl").write_text('{"format":1,"config":"abc","settings":{"tasks":{}},"versions":{}}\n')
    _, said = call("report", place, code=2)
    assert "results format 1, this version reads 2; evaluate again, with `namm-xmodal eval FILE --output`" in said
    assert "choose another --output" not in said


@pytest.mark.parametrize("marker", [None, "", "{", "not json\n", "{}\n"])
def test_a_folder_is_known_by_its_journal(folder, marker):
    place = folder("a")
    if marker is not None:
        (place / MARKER).write_text(marker)
    call("report", place)
    assert json.loads((place / MARKER).read_text())["command"] == "eval"


def test_results_of_a_plugin_name_file_section_and_option(folder, monkeypatch):
    known = {**POLICIES, "newest": Recency}
    monkeypatch.setattr(POLICIES, "_entries", known)
    place = folder("a", policies={"random": {"policy": "newest"}})
    monkeypatch.setattr(POLICIES, "_entries", {name: each for name, each in known.items() if name != "newest"})
    _, said = call("report", place, code=2)
    beginning = f"namm-xmodal: {place / 'config.yaml'}: language: policies.random.policy: unknown policy 'newest': "
    assert said.startswith(beginning)
    assert said.endswith("a name from a plug-in file needs `--plugins FILE.py` before the command")


def test_a_section_of_a_plugin_is_hinted_at(tmp_path):
    (tmp_path / "file.yaml").write_text("series: {model: x}\n")
    _, said = call("eval", tmp_path / "file.yaml", code=2)
    assert "series: unknown key or section; " in said
    assert said.endswith("a section of a plug-in needs `--plugins FILE.py` before the command")


def test_results_beside_those_of_the_configuration_are_told(folder):
    place = folder("a")
    folder("a", policies={"full": {"policy": "full"}}, keep=lambda each: False)  # config.yaml of fewer policies
    _, said = call("report", place)
    where = place / "results.jsonl"
    assert f"note: 192 results of other sections, arms or items are kept in {where} and left out of the tables" in said


# ------------------------------------------------------------------ compare
def test_rows_of_several_sections_are_told_apart(folder):
    language = {"model": "tiny-random", "update_every": 128, "tasks": {"keys": {"task": "key_retrieval", "n": 12}}}
    sections = {"language": language, "language@b": language}
    shown, _ = call("compare", folder("a", **sections), folder("b", **sections))
    assert "│ section " in shown.replace("┃", "│") and "language@b" in shown
    shown, _ = call("compare", folder("c", language=language), folder("d", language=language))
    assert "│ section " not in shown.replace("┃", "│")


def test_one_folder_twice_is_refused(folder):
    place = folder("a")
    _, said = call("compare", place, place.parent / "." / "a", code=2)
    assert "the same folder as" in said


def test_a_task_of_other_items_is_left_out_and_the_others_are_compared(folder):
    one, other = (
        folder("a"),
        folder("b", change=lambda each: replace(each, tags={"length": 64}) if each.task == "keys" else each),
    )
    shown, said = call("compare", one, other)
    assert "note: left out: language: keys/0: length None against 64: different items of the same name" in said
    assert "token_probability" in shown and "answer_probability" not in shown
    assert {each["task"] for each in json.loads(call("compare", one, other, "--json")[0])} == {"text"}


def test_a_section_of_another_seed_is_left_out(folder):
    tasks = {"keys": {"task": "key_retrieval", "n": 12}}
    language = {"model": "tiny-random", "update_every": 128, "tasks": tasks}
    one = folder("a", language=language, **{"language@b": language})
    other = folder("b", language=language, **{"language@b": {**language, "seed": 1}})
    shown, said = call("compare", one, other)
    assert "note: left out: language@b: seed 0 against seed 1" in said
    assert "keys" in shown
