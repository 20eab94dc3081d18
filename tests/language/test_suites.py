"""Published suites: layout, wording, truncation and scores of every task."""
# ruff: noqa: RUF001

import json

import pytest
from evaluations import make, plan_of, run
from suite_folders import (
    CHOUBUN,
    FILLER,
    INFINITEBENCH,
    LONGBENCH,
    choubun,
    context_of,
    infinitebench,
    longbench,
    longbench_row,
    longbench_v2,
    write_lines,
)

from namm_xmodal import check_task
from namm_xmodal.errors import ConfigError, DataError, ItemError, NammError
from namm_xmodal.language.prompt import encode
from namm_xmodal.language.suites.layout import find_files
from namm_xmodal.language.suites.rows import index_rows, read_row
from namm_xmodal.language.suites.table import find_suite
from namm_xmodal.language.suites.task import SuiteTask
from namm_xmodal.language.tiny_random import build_tiny_random, byte_tokenizer
from namm_xmodal.modalities.language.metrics import generated_scores

BYTES = byte_tokenizer()


def task_of(suite, folder, label, **options):
    table = find_suite(suite)
    return SuiteTask(label, table, find_files(table, str(folder), None).files[label], **options)


def check(task, prediction, score):
    """Contract, both items, truncation, and the score of a prediction."""
    check_task(task, n=2)
    first, second = task.samples(2, seed=0, tokenizer=BYTES)
    assert first.index == 0 and second.index == 1 and first.tags["truncated"] == "no"
    most = encode(first, BYTES).prompt_length - 200
    cut = task_with(task, max_prompt=most).sample(0, BYTES)
    assert encode(cut, BYTES).prompt_length <= most and cut.tags["truncated"] == "yes"
    assert cut.question == first.question and first.context.startswith(cut.context[:40])
    scores = generated_scores(prediction, first)
    assert scores[task.primary_metric] == pytest.approx(score, abs=1e-6)
    assert generated_scores("", first)[task.primary_metric] == 0
    assert generated_scores("", first)["empty_answer"] == 1 and scores["empty_answer"] == 0
    return first


def task_with(task, **changes):
    from dataclasses import replace

    return replace(task, **changes)


@pytest.mark.parametrize("label", LONGBENCH)
def test_longbench_task(label, tmp_path):
    language, asked, answers, classes, prediction, score = LONGBENCH[label]
    sample = check(task_of("longbench", longbench(tmp_path, [label]), label), prediction, score)
    assert sample.context.endswith(context_of(language, 0))
    assert asked in sample.question and (sample.answer, *sample.also_right) == tuple(answers)
    assert sample.generation.classes == tuple(classes or ())
    assert sample.generation.line == (label in ("trec", "triviaqa", "samsum", "lsht"))


@pytest.mark.parametrize("label", INFINITEBENCH)
def test_infinitebench_task(label, tmp_path):
    language, _, _, _, prediction, score = INFINITEBENCH[label]
    sample = check(task_of("infinitebench", infinitebench(tmp_path, [label]), label), prediction, score)
    assert sample.context.endswith(context_of(language, 0))


@pytest.mark.parametrize("label", CHOUBUN)
def test_choubun_task(label, tmp_path):
    asked, answers, prediction, score = CHOUBUN[label]
    sample = check(task_of("choubun", choubun(tmp_path, [label]), label), prediction, score)
    assert asked in sample.question and (sample.answer, *sample.also_right) == tuple(answers)


def test_longbench_v2_task(tmp_path):
    sample = check(task_of("longbench_v2", longbench_v2(tmp_path), "longbench_v2"), "The correct answer is (B).", 1.0)
    assert (
        sample.context
        == f"Please read the following text and answer the question below.\n\n<text>\n{context_of('en', 0)}"
    )
    assert sample.question == (
        "\n</text>\n\nWhat is the correct answer to this question: Who walks past?\nChoices:\n(A) Ann\n(B) Tom\n(C) Sue\n"
        '(D) Kim\n\nFormat your response as follows: "The correct answer is (insert answer here)".'
    )
    assert (sample.tags["difficulty"], sample.tags["words"], sample.tags["id"]) == ("easy", "short", "v0")
    assert generated_scores("B", sample)["letter"] == 0  # as officially: only the sentence counts


def test_longbench_wording(tmp_path):
    longbench(tmp_path)
    found = {label: task_of("longbench", tmp_path, label).sample(0, BYTES) for label in LONGBENCH}
    assert found["narrativeqa"].context == (
        "You are given a story, which can be either a novel or a movie script, and a question. Answer the question as "
        "concisely as you can, using a single phrase if possible. Do not provide any explanation.\n\nStory: "
        + context_of("en", 0)
    )
    assert found["hotpotqa"].question.endswith("\n\nQuestion: Who?\nAnswer:")
    assert found["passage_count"].question.endswith("The final answer is: ")  # the space is published
    assert found["lcc"].question == "Next line of code:\n"
    assert found["lcc"].context.startswith("Please complete the code given below. \n" + FILLER["code"])
    assert found["repobench-p"].question == "def last():\nNext line of code:\n"
    assert found["multi_news"].context.startswith(
        "You are given several news passages. Write a one-page summary of all news. \n\nNews:\n"
    )
    assert found["trec"].question == "\nQuestion: What is bread?\nType:"
    tokens = {label: sample.generation.tokens for label, sample in found.items()}
    assert tokens["hotpotqa"] == 32 and tokens["gov_report"] == 512 and tokens["samsum"] == 128


def test_infinitebench_wording(tmp_path):
    infinitebench(tmp_path)
    found = {label: task_of("infinitebench", tmp_path, label).sample(0, BYTES) for label in INFINITEBENCH}
    assert found["math_find"].context.startswith("What is the second largest number in the following list?\n\n")
    assert found["code_run"].context.startswith("There is a function called func_1 in the following Python code.")
    assert found["code_run"].question.endswith(
        "Please compute the exact value of func_1(-3). The value of func_1(-3) is"
    )
    assert (
        "\nA. Tom\nB. Ann\nC. Sue\nD. Kim\n\nThe letter of the correct answer is"
        in found["longbook_choice_eng"].question
    )
    assert (found["longbook_choice_eng"].answer, found["longbook_choice_eng"].also_right) == ("Ann", ("B",))
    assert found["math_calc"].answer == "[1, 4, 8, 7]" and found["math_calc"].generation.tokens == 30000
    assert found["longbook_qa_chn"].question == "\n\n问题：谁？\n答案："


def test_choubun_wording(tmp_path):
    choubun(tmp_path)
    sample = task_of("choubun", tmp_path, "wiki_qa").sample(1, BYTES)
    assert sample.question.endswith("\n\n質問：水車小屋はどこですか。\n回答：")
    assert find_suite("choubun").tasks["corp_sec_sum"].metrics == ["rouge_l_ja"]


def test_longbench_e_has_its_files_and_lengths(tmp_path):
    longbench(tmp_path, ["qasper"], "_e")
    task = task_of("longbench_e", tmp_path, "qasper")
    assert len(find_suite("longbench_e").tasks) == 13
    assert [task.sample(number, BYTES).tags["words"] for number in range(2)] == ["0-4k", "8k+"]


@pytest.mark.parametrize("most", [600, 601, 1400])
def test_longbench_truncation_keeps_both_halves_of_the_prompt(tmp_path, most):
    longbench(tmp_path, ["hotpotqa"])
    whole = task_of("longbench", tmp_path, "hotpotqa").sample(0, BYTES)
    cut = task_of("longbench", tmp_path, "hotpotqa", max_prompt=most).sample(0, BYTES)
    prompt, half = whole.context + whole.question, most // 2  # one token is one byte here, and texts are ASCII
    assert cut.context + cut.question == prompt[:half] + prompt[-half:]
    assert cut.question == whole.question


def test_truncation_of_texts_of_several_bytes_a_character_leaves_characters_whole(tmp_path):
    longbench(tmp_path, ["dureader"])
    for most in range(500, 510):
        cut = task_of("longbench", tmp_path, "dureader", max_prompt=most).sample(0, BYTES)
        assert "\ufffd" not in cut.context and encode(cut, BYTES).prompt_length <= most


def test_a_question_that_is_too_long_is_refused(tmp_path):
    longbench(tmp_path, ["hotpotqa"])
    with pytest.raises(
        ItemError, match=r"hotpotqa\.jsonl:1: its question alone has 1\d\d tokens, the prompt may have 100"
    ):
        task_of("longbench", tmp_path, "hotpotqa", max_prompt=100).sample(0, BYTES)


def test_the_models_positions_bound_the_prompt(tmp_path):
    longbench(tmp_path, ["hotpotqa"])
    task = task_of("longbench", tmp_path, "hotpotqa", positions=1000, max_prompt=5000)
    assert encode(task.sample(0, BYTES), BYTES).prompt_length == 1000 - 32
    infinitebench(tmp_path, ["math_calc"])
    with pytest.raises(ItemError, match=r"built for 16384 tokens, and up to 30000 are generated: no room for a prompt"):
        task_of("infinitebench", tmp_path, "math_calc", positions=16384).sample(0, BYTES)


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %} [assistant] {% endif %}"
)


def test_longbench_chat_wraps_what_the_suite_wraps(tmp_path):
    longbench(tmp_path, ["hotpotqa", "trec"])
    chats = byte_tokenizer()
    chats.chat_template = TEMPLATE
    plain, wrapped = (task_of("longbench", tmp_path, "hotpotqa", chat=chat).sample(0, chats) for chat in (False, True))
    assert wrapped.context == f"<s>[user] {plain.context}"
    assert wrapped.question == f"{plain.question} [assistant] "
    few = [task_of("longbench", tmp_path, "trec", chat=chat).sample(0, chats) for chat in (False, True)]
    assert few[0] == few[1]  # few-shot and code tasks stay as they are
    assert task_of("longbench", tmp_path, "hotpotqa", chat="auto").sample(0, BYTES) == plain
    with pytest.raises(ConfigError, match=r"chat: the tokenizer of m has no chat template; use chat: false"):
        task_of("longbench", tmp_path, "hotpotqa", chat=True, model="m").sample(0, BYTES)


POLICIES = {"full": {"policy": "full"}, "recency": {"policy": "recency"}}


def section(named, folder, **keys):
    base = {"model": "tiny-random", "suite": named, "data": str(folder), "update_every": 128, "budgets": [0.5]}
    return {**base, "policies": POLICIES, **keys}


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


OWN = """
name: Mine
files: ["{task}.jsonl"]
answer: right
tasks:
  locks:
    prompt: "Read.\\n{context}\\nWhose is {thing}?"
    tokens: 4
    metrics: [f1]
    find: {thing: {field: ask, pattern: "the (key)"}}
"""


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


def test_items_of_a_list_stand_where_the_index_says(tmp_path, monkeypatch):
    from namm_xmodal.language.suites import rows

    monkeypatch.setattr(rows, "_CHUNK", 7)  # so that every item and many characters are parted
    items = [{"a": "é" * n, "b": [{"]": "},{"}]} for n in range(9)]
    for name, indent in (("a.json", None), ("b.json", 2)):
        path = tmp_path / name
        path.write_text("\ufeff" + json.dumps(items, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert [read_row(path, span) for span in index_rows(path)] == items


@pytest.mark.parametrize("content", ["{}", "[{}", '[{"a": ]', "", "[1, x]", "\udcff"])
def test_lists_that_are_none(tmp_path, content):
    path = tmp_path / "data.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"data\.json: (cannot be read|no items)"):
        index_rows(path)


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


def test_longbench_truncation_counts_special_tokens_as_published(tmp_path):
    """With a tokenizer that puts a token before every text, halves are those of LongBench's pred.py."""
    from tokenizers import processors

    longbench(tmp_path, ["hotpotqa"])
    begins = byte_tokenizer()
    begins.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", begins.bos_token_id)]
    )
    for most in (700, 701):
        whole = task_of("longbench", tmp_path, "hotpotqa").sample(0, begins)
        cut = task_of("longbench", tmp_path, "hotpotqa", max_prompt=most).sample(0, begins)
        ids, half = begins(whole.context + whole.question)["input_ids"], most // 2
        parts = (begins.decode(part, skip_special_tokens=True) for part in (ids[:half], ids[-half:]))
        assert cut.context + cut.question == "".join(parts)


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
