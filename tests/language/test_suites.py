"""Published suites: wording, truncation and scores of every task."""
# ruff: noqa: RUF001

import json

import pytest
from suite_folders import (
    CHOUBUN,
    FILLER,
    INFINITEBENCH,
    LONGBENCH,
    choubun,
    context_of,
    infinitebench,
    longbench,
    longbench_v2,
)
from suite_tasks import BYTES, task_of

from namm_xmodal import check_task
from namm_xmodal.errors import ConfigError, ItemError
from namm_xmodal.language.prompt import encode
from namm_xmodal.language.suites.rows import index_rows, read_row
from namm_xmodal.language.suites.table import find_suite
from namm_xmodal.language.tiny_random import byte_tokenizer
from namm_xmodal.modalities.language.metrics import generated_scores


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
    assert sample.question == "\n### 質問 ###\n水車小屋はどこですか。\n### 回答 ###\n"
    asked = {label: task_of("choubun", tmp_path, label).sample(0, BYTES).context for label in CHOUBUN}
    assert "抽出してください。\n### 文書 ###\n川" in asked["edinet_qa"]
    assert "抽出してください。### 文書 ###\n川" in asked["corp_sec_qa"]  # the missing line break is published
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


def test_items_of_a_list_stand_where_the_index_says(tmp_path, monkeypatch):
    from namm_xmodal.language.suites import rows

    monkeypatch.setattr(rows, "_CHUNK", 7)  # so that every item and many characters are parted
    items = [{"a": "é" * n, "b": [{"]": "},{"}]} for n in range(9)]
    for name, indent in (("a.json", None), ("b.json", 2)):
        path = tmp_path / name
        path.write_text("\ufeff" + json.dumps(items, indent=indent, ensure_ascii=False), encoding="utf-8")
        assert [read_row(path, span) for span in index_rows(path)] == items


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
