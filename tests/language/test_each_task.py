"""What each task promises of its own."""

import pytest

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.language import TASKS
from namm_xmodal.language.classification import LABELS, Classification
from namm_xmodal.language.code_completion import CodeCompletion
from namm_xmodal.language.code_lines import recalling_lines
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.multi_key_retrieval import MultiKeyRetrieval
from namm_xmodal.language.needles import Needle, hide
from namm_xmodal.language.next_token import NextToken


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
def test_the_fact_stands_once_at_its_depth(depth, tokenizer):
    for sample in KeyRetrieval(length=(512,), depth=(depth,)).samples(4, seed=0, tokenizer=tokenizer):
        number = sample.answer.strip()
        assert sample.context.count(number) == 1
        assert abs(sample.context.index(number) / len(sample.context) - depth) < 0.15
        assert sample.answer not in sample.question


def test_the_grid_is_covered_evenly(tokenizer):
    task = KeyRetrieval(length=(256, 320), depth=(0.2, 0.8))
    cells = [(s.tags["length"], s.tags["depth"]) for s in task.samples(8, seed=0, tokenizer=tokenizer)]
    assert sorted(cells[:4]) == sorted(cells[4:]) == [(256, 0.2), (256, 0.8), (320, 0.2), (320, 0.8)]


def test_all_facts_are_there_and_one_is_asked_for(tokenizer):
    for sample in MultiKeyRetrieval(length=(512,), keys=5).samples(4, seed=0, tokenizer=tokenizer):
        assert sample.context.count("The locker number of") == 5
        name = sample.question.rsplit("locker number of ", 1)[1].removesuffix(" is")
        assert f"locker number of {name} is{sample.answer}." in sample.context


def test_a_hidden_fact_leaves_the_text_as_it_was():
    text = "One is here. Two is there. Three is far"
    needle = Needle("Ada", "12345", 1.0)
    hidden = hide([needle, Needle("Bob", "54321", 0.0)], text)
    assert hidden == f"The locker number of Bob is 54321. {text} {needle.sentence}"


@pytest.mark.parametrize("depth", [(), (1.5,), (-0.1,)])
def test_impossible_depths_are_refused(depth):
    with pytest.raises(ConfigError, match="depth"):
        KeyRetrieval(depth=depth)


def test_next_token_has_nothing_but_text(tokenizer):
    (sample,) = NextToken(length=(256,)).samples(1, seed=0, tokenizer=tokenizer)
    assert (sample.question, sample.answer, sample.choices) == ("", "", ())


def test_a_completed_line_follows_its_file(tokenizer):
    from namm_xmodal.language import find_texts

    files = {document.name: document.text for document in find_texts("python-source")}
    for sample in CodeCompletion(length=(512,)).samples(4, seed=0, tokenizer=tokenizer):
        assert sample.context + sample.question + sample.answer in files[sample.tags["document"]]
        assert sample.tags["recalls"] in sample.answer
        assert sample.tags["lines_back"] > 0


def test_recalling_lines_need_a_distant_name():
    far = "distant_name = 1\n" + "filler = 0\n" * 20 + "result = distant_name\n"
    (line,) = recalling_lines(far, window=len(far))
    assert (line.text, line.recalls, line.lines_back, line.number) == ("result = distant_name", "distant_name", 21, 22)
    assert recalling_lines("distant_name = 1\nresult = distant_name\n", window=200) == ()
    assert recalling_lines("not python at all(", window=200) == ()


def test_examples_teach_every_label_and_never_the_answer(tokenizer):
    for sample in Classification(length=(1024,), classes=3).samples(4, seed=0, tokenizer=tokenizer):
        assert len(sample.choices) == 3
        assert {choice.strip() for choice in sample.choices} <= set(LABELS)
        assert all(f"->{choice}" in sample.context for choice in sample.choices)
        assert f"{sample.question} " not in sample.context


@pytest.mark.parametrize(
    ("task", "fields", "hint"),
    [
        ("classification", {"classes": 1}, "classes: 1: expected 2 to 8"),
        ("multi_key_retrieval", {"keys": 1}, "for one use key_retrieval"),
        ("code_completion", {"shortest": 9, "longest": 3}, "1 <= shortest <= longest"),
    ],
)
def test_impossible_fields_are_refused(task, fields, hint):
    with pytest.raises(ConfigError, match=hint):
        TASKS[task](**fields)


def test_a_source_without_code_is_refused(tokenizer):
    with pytest.raises(DataError, match="use python-source"):
        Classification(texts="python-topics", classes=8).samples(1, seed=0, tokenizer=tokenizer)


def test_a_length_beyond_the_source_is_refused(tokenizer):
    with pytest.raises(DataError, match="use a shorter length or a larger text source"):
        NextToken(length=(400_000,)).samples(1, seed=0, tokenizer=tokenizer)
