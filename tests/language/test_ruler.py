"""RULER's tasks: every answer is found again in the prompt by other means, from the text alone."""

import json
import re
from collections import Counter

import pytest

from namm_xmodal import check_task
from namm_xmodal.errors import ConfigError, DataError, MissingDependencyError
from namm_xmodal.language import TASKS, encode
from namm_xmodal.language.ruler import draws
from namm_xmodal.language.ruler.frequent_words import zeta

NIAH = [name for name in TASKS if name.startswith("niah_")]
GENERATED = [*NIAH, "vt", "cwe", "fwe"]
TOKENS = {**dict.fromkeys(NIAH, 128), "vt": 30, "cwe": 120, "fwe": 50, "qa_1": 32, "qa_2": 32}
NEEDLE = re.compile(r"One of the special magic (\w+) for ([^:\n]+) is: (\S+)\.")
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture(autouse=True)
def _words():
    pytest.importorskip("wonderwords", reason="the extra `ruler`")


def answers(sample):
    found = [each.removeprefix(" ") for each in (sample.answer, *sample.also_right)]
    assert len(set(found)) == len(found)
    return found


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("length", [2048, 3000])
def test_ruler_lengths_count_prompt_and_answer_and_are_never_exceeded(name, length, tokenizer):
    for sample in TASKS[name](length=(length,)).samples(2, seed=0, tokenizer=tokenizer):
        assert (sample.generation.tokens, sample.generation.counted) == (TOKENS[name], True)
        assert sample.generation.metrics == ("string_match_all",) == (TASKS[name].primary_metric,)
        assert sample.tags["length"] == length
        joined = sample.context + sample.question
        apart = len(tokenizer(joined, add_special_tokens=False)["input_ids"])
        assert abs(encode(sample, tokenizer).prompt_length - apart) <= 1
        assert 0.98 * length <= encode(sample, tokenizer).prompt_length + TOKENS[name] <= length


@pytest.mark.parametrize("name", NIAH)
def test_ruler_needles_that_are_asked_for_are_all_in_the_haystack(name, tokenizer):
    kind = TASKS[name]
    for sample in kind(length=(2048,)).samples(3, seed=1, tokenizer=tokenizer):
        needles = NEEDLE.findall(sample.context)
        asked = re.search(r"magic \w+ for (.*?) mentioned", sample.question)[1]
        keys = re.split(r", and |, ", asked)
        assert len(keys) == kind.num_queries
        right = [value for key in keys for _, other, value in needles if other == key]
        assert sorted(right) == sorted(answers(sample))
        assert len(right) == kind.num_queries * kind.num_values
        assert {kind for kind, _, _ in needles} == {kind.values}
        pattern = {"numbers": r"[1-9]\d{6}", "uuids": UUID}[kind.values]
        assert all(re.fullmatch(pattern, value) for _, _, value in needles)
        assert all(re.fullmatch(UUID if kind.keys == "uuids" else r"[^:]+-[^:]+", key) for _, key, _ in needles)
        if kind.haystack == "needle":
            assert len(needles) > 10
            cut = [line for line in sample.context.split("\n")[1:] if not NEEDLE.fullmatch(line)]
            assert len(cut) <= 1 and all(line in sample.context.split("\n")[1:3] for line in cut)
        else:
            assert len(needles) == kind.num_keys * kind.num_values
        if kind.haystack == "repeat":
            rest = NEEDLE.sub("", sample.context.split("\n", 1)[1]).split("\n")
            noise = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."
            assert set(rest[1:]) <= {noise, ""} and noise.endswith(rest[0])
        assert "  " not in sample.context


def test_ruler_needle_prompts_read_as_published(tokenizer):
    (one,) = TASKS["niah_single_1"](length=(1024,)).samples(1, seed=0, tokenizer=tokenizer)
    key = re.search(r"numbers for (.+?) is:", one.context)[1]
    assert one.context.startswith(
        "A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you about the "
        "number afterwards.\n"
    )
    assert one.question == (
        f"\nWhat is the special magic number for {key} mentioned in the provided text? "
        f"The special magic number for {key} mentioned in the provided text is"
    )
    (four,) = TASKS["niah_multiquery"](length=(1024,)).samples(1, seed=0, tokenizer=tokenizer)
    assert four.context.startswith(
        "Some special magic numbers are hidden within the following text. Make sure to memorize it. I will quiz you about "
        "the numbers afterwards.\n"
    )
    assert re.fullmatch(
        r"\nWhat are all the special magic numbers for (.+, .+, .+, and .+) mentioned in the provided text\? "
        r"The special magic numbers for \1 mentioned in the provided text are",
        four.question,
    )


@pytest.mark.parametrize("name", ["niah_single_1", "niah_single_2", "niah_multikey_1", "niah_multikey_2"])
def test_a_ruler_needle_stands_at_its_depth(name, tokenizer):
    task = TASKS[name](length=(2048, 2560), depth=(0.0, 0.5, 1.0))
    samples = task.samples(12, seed=0, tokenizer=tokenizer)
    cells = Counter((sample.tags["length"], sample.tags["depth"]) for sample in samples)
    assert set(cells.values()) == {2} and len(cells) == 6
    for sample in samples:
        haystack = sample.context.split("\n", 1)[1]
        off = 0.12 if TASKS[name].haystack != "essay" else 0.3  # a table of the manual is one long sentence
        assert abs(haystack.index(answers(sample)[0]) / len(haystack) - sample.tags["depth"]) < off


def test_ruler_depths_are_of_single_answers_and_fractions():
    with pytest.raises(ConfigError, match="niah_multivalue asks for several needles; leave depth out"):
        TASKS["niah_multivalue"](depth=(0.5,))
    with pytest.raises(ConfigError, match=r"depth: 1\.5"):
        TASKS["niah_single_2"](depth=(1.5,))


@pytest.mark.parametrize(("chains", "hops"), [(1, 4), (2, 3)])
def test_ruler_variables_are_followed_from_the_value(chains, hops, tokenizer):
    for sample in TASKS["vt"](length=(3072,), chains=chains, hops=hops).samples(3, seed=2, tokenizer=tokenizer):
        *shown, asked = re.split(r"(?=Memorize and track)", sample.context)
        for text, question, said in (
            (*shown[-1].split("\nQuestion: "), None),
            (asked, sample.question, answers(sample)),
        ):
            value = re.search(r"assigned the value (\d{5}) in the text", question)[1]
            held = {}
            for name, source in re.findall(r"VAR ([A-Z]+) = (?:VAR )?([A-Z]+|\d+)", text):
                held[name] = held.get(source, source)  # in the order of the text
            right = [name for name, number in held.items() if number == value]
            assert len(held) == chains * (hops + 1)
            assert len(right) == hops + 1
            assert f" {hops + 1} variables are assigned the value {value}, they are: " in question
            if said is None:
                said = question.rsplit("they are: ", 1)[1].split()
            assert said == right


@pytest.mark.parametrize(("length", "often", "seldom"), [(2048, 6, 1), (6144, 30, 3)])
def test_ruler_common_words_are_recounted(length, often, seldom, tokenizer):
    (sample,) = TASKS["cwe"](length=(length,)).samples(1, seed=3, tokenizer=tokenizer)
    example, rest = sample.context.split("\nQuestion: ", 1)
    solved, text = rest.split("list are:", 1)[1].split("\n", 1)
    counted = Counter(re.findall(r"\d+\. (.+?)(?= \d+\. |$)", text.split("\n", 1)[1]))
    assert set(counted.values()) == {often, seldom}
    assert {word for word, count in counted.items() if count == often} == set(answers(sample))
    assert len(answers(sample)) == 10
    shown = Counter(re.findall(r"\d+\. (.+?)(?= \d+\. |$)", example.split("\n", 1)[1]))
    assert {word for word, _ in shown.most_common(10)} == set(re.findall(r"\d+\. (.+?)(?= \d+\. |$)", solved))
    numbers = [int(number) for number in re.findall(r"(?:^| )(\d+)\. ", text.split("\n", 1)[1])]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("alpha", [2.0, 1.5])
def test_ruler_frequent_words_are_recounted(alpha, tokenizer):
    for sample in TASKS["fwe"](length=(2048,), alpha=alpha).samples(2, seed=0, tokenizer=tokenizer):
        text = sample.context.split("coded words. ", 1)[1]
        counted = Counter(text.split(" ")).most_common()
        assert counted[0][0] == "..."
        assert [word for word, _ in counted[1:4]] == answers(sample)
        assert counted[3][1] > counted[4][1]
        assert all(re.fullmatch("[a-z]{6}", word) for word, _ in counted[1:])
        assert counted[1][1] / counted[0][1] == pytest.approx(2**-alpha, rel=0.05)


def test_ruler_answers_score_by_what_is_said_of_them(tokenizer):
    from namm_xmodal.modalities.language.metrics import generated_scores

    (sample,) = TASKS["niah_multivalue"](length=(1024,)).samples(1, seed=0, tokenizer=tokenizer)
    one, two, three, four = answers(sample)
    assert generated_scores(f"{one}, {two}, {three} and {four}", sample) == {"string_match_all": 1.0}
    assert generated_scores(f"{four}.\n\n{two}{two}", sample) == {"string_match_all": 0.5}
    assert generated_scores("7", sample) == {"string_match_all": 0.0}


def test_ruler_zeta_has_its_known_values():
    assert zeta(2.0) == pytest.approx(3.141592653589793**2 / 6, rel=1e-8)
    assert zeta(4.0) == pytest.approx(3.141592653589793**4 / 90, rel=1e-8)
    assert zeta(1.5) == pytest.approx(2.612375348685488, rel=1e-7)


def test_ruler_draws_never_repeat_themselves():
    import random

    drawn = draws.Draws(random.Random(0))
    letters = [drawn.letters(1, "abc") for _ in range(3)]
    assert sorted(letters) == ["a", "b", "c"]


def test_without_wonderwords_ruler_names_the_extra(monkeypatch, tokenizer):
    import sys

    draws.word_list.cache_clear()
    monkeypatch.setitem(sys.modules, "wonderwords", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'namm-xmodal\[ruler\]'"):
        TASKS["niah_single_1"](length=(1024,)).samples(1, seed=0, tokenizer=tokenizer)
    draws.word_list.cache_clear()


@pytest.mark.parametrize(
    ("name", "fields", "hint"),
    [
        ("vt", {"hops": 0}, "expected at least 1 of each"),
        ("fwe", {"alpha": 1.0}, "alpha: 1.0: expected 1.1 to 8"),
        ("cwe", {"length": (64,)}, "expected at least 256 tokens"),
        ("qa_1", {}, r"data: missing; download SQuAD's dev-v2.0.json"),
        ("qa_2", {}, r"data: missing; download HotpotQA's hotpot_dev_distractor_v1.json"),
    ],
)
def test_impossible_ruler_fields_are_refused(name, fields, hint):
    with pytest.raises(ConfigError, match=hint):
        TASKS[name](**fields)


def test_a_ruler_length_without_room_is_refused(tokenizer):
    with pytest.raises(DataError, match=r"and its answer 30, .*use a longer length, or fewer hops and chains"):
        TASKS["vt"](length=(512,)).samples(1, seed=0, tokenizer=tokenizer)


def squad(folder, paragraphs=30):
    """A file in the layout of SQuAD 2.0: two articles, an answerable and an unanswerable question for each paragraph."""

    def paragraph(article, at):
        context = f"The {article} number {at} was opened by mayor {article[0]}{at} in the year {1500 + at}. " * 3
        answer = {"text": str(1500 + at), "answer_start": 0}
        return {
            "context": context,
            "qas": [
                {"question": f"When was {article} {at} opened?", "answers": [answer, answer], "is_impossible": False},
                {"question": "Who closed it?", "answers": [], "is_impossible": True},
            ],
        }

    articles = [
        {"title": name, "paragraphs": [paragraph(name, at) for at in range(paragraphs)]} for name in ("bridge", "tower")
    ]
    path = folder / "dev-v2.0.json"
    path.write_text(json.dumps({"version": "v2.0", "data": articles}), encoding="utf-8")
    return path


def hotpot(folder):
    """A file in the layout of HotpotQA's distractor setting."""
    rows = [
        {
            "_id": str(at),
            "question": f"Which town is {at} near?",
            "answer": f"Town {at}",
            "context": [
                [f"Lake {at}.{each}", [f"Lake {at}.{each} is near Town {at}.", " It is deep."]] for each in range(3)
            ],
        }
        for at in range(40)
    ]
    path = folder / "hotpot_dev_distractor_v1.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "write"), [("qa_1", squad), ("qa_2", hotpot)])
def test_ruler_questions_stand_among_documents_with_the_answer(name, write, tmp_path, tokenizer):
    task = TASKS[name](length=(1024,), data=str(write(tmp_path)))
    check_task(task, tokenizer=tokenizer)
    for sample in task.samples(3, seed=0, tokenizer=tokenizer):
        assert (sample.generation.tokens, sample.generation.metrics) == (32, ("string_match_part",))
        ask = "Answer the question based on the given documents. Only give me the answer and do not output any other words."
        assert sample.context.startswith(f"{ask}\n\nThe following are given documents.\n\nDocument 1:\n")
        asked = re.fullmatch(rf"\n\n{re.escape(ask)}\n\nQuestion: (.*) Answer:", sample.question)[1]
        documents = re.split(r"(?:^|\n\n)Document \d+:\n", sample.context)[1:]
        assert len(set(documents)) == len(documents) > 3
        (answer,) = answers(sample)
        number = re.search(r"\d+", asked)[0]
        key = f"{asked.split()[2]} number {number} " if name == "qa_1" else f"Lake {number}.0\n"
        assert any(key in document and answer in document for document in documents)
        length = encode(sample, tokenizer).prompt_length + 32
        assert 0.98 * 1024 <= length <= 1024


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("[1, 2]", "TypeError"),
        ('{"data": [{"paragraphs": [{"context": "a", "qas": [{"question": "q", "answers": []}]}]}]}', "lacks answers"),
        (
            '{"data": [{"paragraphs": [{"context": 3, "qas": [{"question": "q", "answers": [{"text": "a"}]}]}]}]}',
            "not a text",
        ),
        ('{"data": []}', "no question that can be answered"),
        ("not json", "cannot be read"),
    ],
)
def test_other_files_are_no_ruler_questions(content, found, tmp_path, tokenizer):
    path = tmp_path / "other.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=found) as caught:
        TASKS["qa_1"](data=str(path)).samples(1, seed=0, tokenizer=tokenizer)
    assert "a JSON file in the layout of SQuAD" in str(caught.value) and "\n" not in str(caught.value)


def test_more_ruler_questions_than_there_are_are_refused(tmp_path, tokenizer):
    task = TASKS["qa_1"](length=(1024,), data=str(squad(tmp_path, paragraphs=6)))
    with pytest.raises(DataError, match="has 12 questions whose documents fit; use fewer samples or a longer length"):
        task.samples(13, seed=0, tokenizer=tokenizer)
