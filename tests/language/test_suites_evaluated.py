"""Evaluations of suites: what runs, what is skipped and what is told."""

import json

import pytest
from evaluations import make, plan_of, run
from suite_folders import (
    FILLER,
    choubun,
    context_of,
    infinitebench,
    longbench,
    longbench_row,
    write_lines,
)
from suite_tasks import BYTES, OWN, section, task_of

from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.language.prompt import encode
from namm_xmodal.language.suites.table import find_suite
from namm_xmodal.language.suites.task import SuiteTask
from namm_xmodal.language.tiny_random import build_tiny_random


def test_longbench_is_evaluated(tmp_path):
    folder = longbench(tmp_path / "data of mine", ["hotpotqa", "trec", "lcc"])
    config = make(language=section("longbench", folder, n=1, scoring="generate"), output=str(tmp_path / "out"))
    records = run(config)
    assert {record.task for record in records} == {"hotpotqa", "trec", "lcc"} and len(records) == 6
    assert all(record.status == "scored" and len(record.scores) == 2 for record in records)
    assert {next(iter(record.scores)) for record in records} == {"f1", "classification", "code_similarity"}
    more = make(language=section("longbench", folder, scoring="generate"), output=str(tmp_path / "out"))
    told = []
    assert len(run(more, notice=told.append)) == 12  # n may be raised later
    assert any("resuming after 6 of 12" in line for line in told)
    assert any("18 of 21 tasks of longbench have no file" in line and "narrativeqa" in line for line in told)
    assert not any("n: " in line for line in told)


def test_more_items_than_a_file_has_are_told_of(tmp_path):
    folder = longbench(tmp_path / "there", ["hotpotqa", "trec"])
    write_lines(folder / "data/trec.jsonl", [longbench_row("trec", at % 2) for at in range(3)])
    told = []
    (plan,) = plan_of(make(language=section("longbench", folder, n=3)))
    plan.check(told.append)
    assert [line for line in told if "n: 3" in line] == [
        "longbench: hotpotqa: n: 3: its file has 2 items, all of which are asked"
    ]


@pytest.mark.parametrize(("suite", "make_folder"), [("infinitebench", infinitebench), ("choubun", choubun)])
def test_infinitebench_and_choubun_are_evaluated(tmp_path, suite, make_folder):
    labels = {"infinitebench": ["passkey", "longbook_qa_eng"], "choubun": ["corp_sec_qa"]}[suite]
    folder = make_folder(tmp_path / "there", labels)
    records = run(make(language=section(suite, folder, max_prompt=1500, n=1), output=str(tmp_path / "out")))
    assert [record.status for record in records] == ["scored"] * 2 * len(labels)
    assert {record.tags["truncated"] for record in records} == {"yes"}
    assert all(record.facts.prompt_tokens <= 1500 for record in records)


def test_longbench_broken_lines_are_skipped_and_counted(tmp_path):
    folder = longbench(tmp_path / "there", ["hotpotqa", "qasper"])
    good = [longbench_row("hotpotqa", number) for number in range(2)]
    bad = {**good[0], "answers": []}
    short = {**good[0], "context": "Tiny."}
    file = folder / "data/hotpotqa.jsonl"
    write_lines(file, [good[0], bad, short, good[1]])
    file.write_text(file.read_text() + '{"context": \n')
    told = []
    config = make(
        language=section("longbench", folder, update_every=512, subset=["hotpotqa"]), output=str(tmp_path / "out")
    )
    records = run(config, notice=told.append)
    full = [record for record in records if record.policy == "full"]
    assert [record.status for record in full] == ["scored", "skipped", "skipped", "scored", "skipped"]
    assert full[1].message.endswith("hotpotqa.jsonl:2: answers is [], expected a text, a number or a list of them")
    assert "shorter than update_every=512" in full[2].message
    assert "hotpotqa.jsonl:5: not a JSON object" in full[4].message
    assert any("3 of 5 items are unusable and skipped (the first: " in line for line in told)


def of_sizes(folder, *times):
    """Items of one task whose contexts repeat a sentence of 88 characters so often."""
    row = longbench_row("hotpotqa", 0)
    write_lines(folder / "data/hotpotqa.jsonl", [{**row, "context": FILLER["en"] * each} for each in times])
    return folder


def test_before_a_run_long_items_are_read_and_few_are_tokenised(tmp_path, monkeypatch):
    from namm_xmodal.modalities.language import preflight

    folder = of_sizes(tmp_path, 12, 14, 1, 15, 13)  # an update is 32 tokens here, 16 characters each: 512
    file = folder / "data/hotpotqa.jsonl"
    file.write_text(file.read_text() + '{"context": \n')
    made, told = [], []
    monkeypatch.setattr(
        preflight, "encode", lambda sample, tokenizer: made.append(sample.index) or encode(sample, tokenizer)
    )
    (plan,) = plan_of(make(language=section("longbench", folder, update_every=32, max_prompt=1400)))
    plan.check(told.append)
    assert made == [0, 2, 3]  # the first, a short one, the longest
    # Prompts of 1,332, 1,508, 364, 1,596 and 1,420 characters.
    assert told[1:] == [
        "about 3 of 6 items lose their middle, since they are too long (the first: hotpotqa/3; 2 by their characters)",
        f"1 of 6 items are unusable and skipped (the first: {file}:6: not a JSON object (Expecting value: line 2 "
        "column 1 (char 13)))",
    ]


def test_what_shows_of_an_item_only_when_it_runs_skips_it(tmp_path):
    policies = {"full": {"policy": "full"}, "recency": {"policy": "recency", "budget": 0.01}}
    keys = {"update_every": 32, "policies": policies, "protect_first": 4, "protect_recent": 8}
    folder = of_sizes(tmp_path / "there", 14, 5, 15, 14)  # 1 in 100 of 1,200 tokens and more holds what is protected
    records = run(make(language=section("longbench", folder, **keys), output=str(tmp_path / "out")))
    for policy in policies:
        found = [record for record in records if record.policy == policy]
        assert [record.status for record in found] == ["scored", "skipped", "scored", "scored"]
        assert found[1].message.startswith(f"{folder}/data/hotpotqa.jsonl:2: policies.recency: protect_first + ")
    for times in ((5, 14, 15), (14, 1, 15)):  # the first, and a short one, are found before
        with pytest.raises(ConfigError, match=r"policies\.recency: protect_first \+ protect_recent"):
            run(make(language=section("longbench", of_sizes(tmp_path, *times), **keys), output=str(tmp_path / "no")))
    assert not (tmp_path / "no").exists()


def test_a_table_of_your_own_is_a_suite(tmp_path):
    (tmp_path / "mine.yaml").write_text(OWN)
    rows = [{"context": context_of("en", number), "ask": "Whose is the key?", "right": "Ann"} for number in range(2)]
    write_lines(tmp_path / "any name.jsonl", rows)
    keys = {"suite": str(tmp_path / "mine.yaml"), "data": str(tmp_path / "any name.jsonl")}
    config = make(language=section(keys["suite"], keys["data"]), output=str(tmp_path / "out"))
    records = run(config)
    assert [record.item for record in records if record.policy == "full"] == ["locks/0", "locks/1"]
    (tmp_path / "mine.yaml").write_text(OWN.replace("Read.", "Read this."))
    with pytest.raises(NammError, match=r"suite_table"):  # other prompts, other results
        run(make(language=section(keys["suite"], keys["data"]), output=str(tmp_path / "out")))
    (tmp_path / "mine.yaml").write_text(OWN)
    sample = SuiteTask("locks", find_suite(str(tmp_path / "mine.yaml")), tmp_path / "any name.jsonl").sample(0, BYTES)
    assert sample.question == "\nWhose is key?"


def test_the_full_cache_says_what_the_model_says(tmp_path):
    """An evaluation generates what transformers generates after the same tokens."""
    import torch

    folder = longbench(tmp_path / "there", ["hotpotqa"])
    records = run(make(language=section("longbench", folder, n=1), output=str(tmp_path / "out")))
    model, tokenizer = build_tiny_random()
    encoded = encode(task_of("longbench", folder, "hotpotqa").sample(0, tokenizer), tokenizer)
    ids = torch.tensor([[*encoded.context_ids, *encoded.question_ids]])
    made = model.generate(ids, max_new_tokens=32, do_sample=False, attention_mask=torch.ones_like(ids))
    text = tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
    assert records[0].text == text


def test_infinitebench_questions_about_one_book_share_it(tmp_path):
    folder = infinitebench(tmp_path, ["longbook_qa_eng", "passkey"])
    file = folder / "longbook_qa_eng.jsonl"
    one, other = (json.loads(line) for line in file.read_text().splitlines())
    other = {**other, "context": f"{other['context']} Another book."}
    write_lines(file, [one, other, {**one, "input": "And who else?"}, other])
    file.write_text(file.read_text() + "{broken\n")
    task = task_of("infinitebench", folder, "longbook_qa_eng")
    assert task.groups(5) == (0, 1, 0, 1, 4)
    assert task.groups(2) == (0, 1)
    assert task_of("infinitebench", folder, "passkey").groups(2) is None
    items = plan_of(make(language=section("infinitebench", folder), output=str(tmp_path / "out")))[0].items
    groups = {item.id: item.group for item in items}
    assert groups["longbook_qa_eng/2"] == groups["longbook_qa_eng/0"] != groups["longbook_qa_eng/1"]
    assert groups["passkey/0"] != groups["passkey/1"]
