"""Your own texts and questions; what is wrong with a line names file and line."""

import json

import pytest
from evaluations import make, plan_of, run

from namm_xmodal import check_task
from namm_xmodal.config.tasks import build_task
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.language import find_texts
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.own_texts import is_path
from namm_xmodal.language.questions import Questions
from namm_xmodal.report.summary import summarise

LINES = [
    {"prompt": "The key is 71. " * 12, "question": "The key is", "answer": "71", "tags": {"book": "first"}},
    {"prompt": "Red, red, red. " * 12, "answers": ["red", "Red"], "choices": ["blue", "red"]},
]


def written(path, *lines):
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_texts_come_from_a_file_a_folder_or_lines(tmp_path):
    (tmp_path / "deeper").mkdir()
    (tmp_path / "b.txt").write_text("\ufeffOne text.", encoding="utf-8")
    (tmp_path / "deeper/a.md").write_text("Another.")
    (tmp_path / "ignored.bin").write_bytes(b"\xff")
    (tmp_path / "empty.txt").write_text(" \n")
    written(tmp_path / "c.jsonl", {"text": "First\u2028line."}, "", {"text": "Third."})
    found = {document.name: document.text for document in find_texts(str(tmp_path))}
    assert found == {
        "b.txt": "One text.",
        "c.jsonl:1": "First\u2028line.",
        "c.jsonl:3": "Third.",
        "deeper/a.md": "Another.",
    }
    assert [document.name for document in find_texts(str(tmp_path / "b.txt"))] == ["b.txt"]
    (tmp_path / "b.txt").write_text("Changed, and longer.")
    assert find_texts(str(tmp_path / "b.txt"))[0].text == "Changed, and longer."


def test_a_name_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_path("python-topics")
    (tmp_path / "book.pdf").write_text("")
    assert is_path("book.pdf") and not is_path("gone.pdf")
    assert is_path("./mine") and is_path("mine.txt") and is_path("mine.jsonl")


def test_any_task_can_read_own_texts(tmp_path):
    (tmp_path / "book.txt").write_text("A sentence that says nothing. Another one follows it. " * 40)
    check_task(KeyRetrieval(texts=str(tmp_path), length=(256, 320)))
    with pytest.raises(DataError, match=r"gone\.txt: no such file or folder"):  # before a model is loaded
        KeyRetrieval(texts=str(tmp_path / "gone.txt"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.txt", None, r"missing\.txt: no such file or folder; expected \.txt, \.md, \.jsonl or a folder"),
        ("empty.txt", b"", r"empty\.txt: contains no text"),
        ("book.pdf", b"%PDF", r"book\.pdf: a file with the suffix \.pdf; expected \.txt, \.md, \.jsonl or a folder"),
        ("bytes.txt", b"\xff\xfe\x00", r"bytes\.txt: not UTF-8 text"),
        ("no.jsonl", b"\n", r"no\.jsonl: contains no lines"),
        ("bad.jsonl", b'{"text": "a"}\n{"text": \n', r"bad\.jsonl:2: not a JSON object"),
        ("bad.jsonl", b'["text"]\n', r"bad\.jsonl:1: not a JSON object"),
        ("bad.jsonl", b'{"text": "a"}\n\n{"txt": "b"}\n', r"bad\.jsonl:3: lacks text; expected text on each line"),
        ("bad.jsonl", b'{"text": ["a"]}\n', r"bad\.jsonl:1: text is of type list, expected a text"),
    ],
)
def test_bad_texts_name_file_and_line(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        find_texts(str(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_questions_keep_the_contract_of_tasks(tmp_path):
    file = str(written(tmp_path / "own.jsonl", *LINES))
    check_task(Questions(file), n=2)
    first, second = Questions(file).samples(2, seed=0, tokenizer=None)
    assert (first.question, first.answer, first.tags) == ("The key is", " 71", {"book": "first", "line": 1})
    assert (second.answer, second.choices) == (" red", (" blue", " red"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"answer": "a"}, r"lacks prompt; expected prompt on each line"),
        ({"prompt": "p"}, r"lacks answer; expected a text, or a list of texts in answers"),
        ({"prompt": "p", "answer": 3}, r"answer is of type int, expected a text"),
        ({"prompt": 3, "answer": "a"}, r"prompt is of type int, expected a text"),
        ({"prompt": "p", "answers": "a"}, r"answers is 'a', expected a list of different texts"),
        ({"prompt": "p", "answer": "a", "choices": ["b", "c"]}, r"answer 'a' is none of its choices"),
        ({"prompt": "p", "answer": "a", "choices": "abc"}, r"choices is 'abc', expected a list of different texts"),
        ({"prompt": "p", "answer": "a", "choices": ["a", "a"]}, r"choices is .*, expected a list of different texts"),
        ({"prompt": "p", "answer": "a", "tags": ["x"]}, r"tags is \['x'\], expected an object of texts and numbers"),
        ("{", r"not a JSON object"),
        (
            {"prompt": "p", "answer": "a", "choices": ["a"]},
            r"choices is \['a'\], expected .* at least 2; or leave it out",
        ),
        (
            {"prompt": "p", "answer": "a", "choices": []},
            r"choices is \[\], expected a list of different texts, at least 2",
        ),
        ({"prompt": "p", "answer": "a", "choice": ["a", "b"]}, r"choice: unknown field; did you mean choices\?"),
        ({"prompt": "p", "answer": "a", "xyz": 1}, r"xyz: unknown field; known: prompt, .*, tags"),
        ('{"prompt": "p", "answer": "a", "answer": "b"}', r"not a JSON object \(the key 'answer' is repeated\)"),
    ],
)
def test_bad_questions_name_file_and_line(tmp_path, line, said):
    file = written(tmp_path / "own.jsonl", LINES[0], line)
    with pytest.raises(DataError, match=rf"own\.jsonl:2: {said}") as caught:
        Questions(str(file)).samples(2, seed=0, tokenizer=None)
    assert "\n" not in str(caught.value)


def test_files_of_questions_that_cannot_be_read(tmp_path, unreadable):
    def refused(name):
        with pytest.raises(DataError) as caught:
            Questions(str(tmp_path / name)).samples(1, seed=0, tokenizer=None)
        return str(caught.value).removeprefix(f"{tmp_path}/")

    assert refused("gone.jsonl") == "gone.jsonl: no such file; expected a text file"
    (tmp_path / "folder.jsonl").mkdir()
    assert refused("folder.jsonl") == "folder.jsonl: cannot be read, it is a folder; expected a text file"
    (tmp_path / "empty.jsonl").touch()
    assert refused("empty.jsonl") == "empty.jsonl: contains no lines; expected a JSON object on each line"
    written(tmp_path / "own.jsonl", *LINES)
    with unreadable("open", "own.jsonl"):
        assert refused("own.jsonl") == "own.jsonl: cannot be read (Permission denied); expected a text file"


def test_more_questions_than_there_are_lines(tmp_path):
    file = written(tmp_path / "own.jsonl", *LINES)
    for n in (0, 3):
        with pytest.raises(DataError, match=rf"n: {n}: expected 1 to 2, the number of questions in .*own\.jsonl"):
            Questions(str(file)).samples(n, seed=0, tokenizer=None)


def test_own_questions_are_evaluated(tmp_path):
    file = str(written(tmp_path / "own.jsonl", *LINES))
    policies = {"full": {"policy": "full"}, "recency": {"policy": "recency"}}
    tasks = {"mine": {"task": "questions", "file": file, "n": 2}}
    section = {"model": "tiny-random", "tasks": tasks, "update_every": 64, "budgets": [0.5], "generate_tokens": 4}
    records = run(make(language={**section, "policies": policies}, output=str(tmp_path / "out")))
    assert [(record.policy, record.number) for record in records] == [
        ("full", 0), ("full", 1), ("recency", 0), ("recency", 1),
    ]  # fmt: skip
    assert "accuracy" in records[1].scores and "accuracy" not in records[0].scores


def test_questions_without_a_number_are_all_asked(tmp_path):
    path = written(tmp_path / "mine.jsonl", *LINES)
    task, count = build_task({"task": "questions", "file": str(path)}, "tasks.mine")
    assert count == len(task) == 2
    assert build_task({"task": "questions", "file": str(path), "n": 1}, "tasks.mine")[1] == 1
    with pytest.raises(DataError, match=r"^tasks.mine: .*gone.jsonl"):
        build_task({"task": "questions", "file": str(tmp_path / "gone.jsonl")}, "tasks.mine")
    with pytest.raises(ConfigError, match=r"^tasks.keys.n: None: expected a number of samples, at least 1"):
        build_task({"task": "key_retrieval"}, "tasks.keys")  # made on the spot: there is no "all"


@pytest.mark.parametrize("lines", [LINES[1:] * 2, LINES])
def test_tables_show_accuracy_where_every_line_has_choices(tmp_path, lines):
    keys = {
        "model": "tiny-random",
        "update_every": 32,
        "budgets": [0.5],
        "policies": {"recency": {"policy": "recency"}},
    }
    task = {"task": "questions", "file": str(written(tmp_path / "own.jsonl", *lines))}
    config = make(language={**keys, "tasks": {"own": task}, "scoring": "likelihood"}, output=str(tmp_path / "out"))
    plan = plan_of(config)
    (row,) = summarise(run(config), plan, config.run.bootstrap).rows
    shown = [cell.metric.name for cell in row.cells.values() if cell.metric.headline]
    assert shown == [*(["accuracy"] if lines != LINES else []), "answer_probability"]
