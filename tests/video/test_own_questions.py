"""Your own questions about your own videos."""

import json

import pytest
from evaluations import make, plan_of, run

from namm_xmodal.errors import DataError
from namm_xmodal.video.benchmarks.own import OwnQuestions

GOOD = {"video": "a.mp4", "question": "Which shape?", "options": ["circle", "square", "2"], "answer": "B"}


def written(folder, *lines):
    path = folder / "own.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    ("answer", "right"), [("B", 1), ("b", 1), ("square", 1), (1, 1), ("2", 2), (2, 2), (None, None)]
)
def test_answers_are_letters_texts_or_numbers(tmp_path, answer, right):
    (question,) = OwnQuestions(str(written(tmp_path, {**GOOD, "answer": answer}))).questions()
    assert (question.answer, question.problem, question.keyed) == (right, "", right is not None)


def test_all_fields(tmp_path):
    more = {"id": "q7", "kind": "shape", "duration": "short", "evidence": [3, 4]}
    first, second = OwnQuestions(str(written(tmp_path, {**GOOD, **more}, "", GOOD))).questions()
    assert (first.id, first.kind, first.duration, first.evidence) == ("q7", "shape", "short", (3, 4))
    assert first.video == tmp_path / "a.mp4"
    assert (second.id, second.kind, second.evidence) == ("line 3", "own", ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "Z"}, r"answer 'Z' is not among its 3 options"),
        ({"answer": "7"}, r"answer '7' is not among its 3 options"),
        ({"answer": 3}, r"answer 3 is not among its 3 options"),
        ({"options": ["B", "C"], "answer": "B"}, r"answer 'B' matches options A and B"),
        ({"options": ["one"]}, r"has 1 option: expected 2 to 26"),
        ({"options": ["a", " "]}, r"option B is empty: expected text"),
        (
            {"options": ["a", "b"], "answer": "C"},
            r"answer 'C' is not among its 2 options: expected 0 to 1, a letter of A to B",
        ),
        ({"answer": True}, r"answer is True: expected 0 to 2, a letter of A to C, or the text of an option"),
        ({"answer": ""}, r"answer is '': expected 0 to 2"),
        ({"answr": "B"}, r"answr: unknown field; did you mean answer\?"),
        ({"options": "abc"}, r"options are 'abc': expected a list"),
        ({"evidence": [1.5]}, r"evidence is \[1\.5\]: expected a list of frame numbers"),
        ({"evidence": [-1]}, r"evidence is \[-1\]"),
    ],
)
def test_a_line_with_a_mistake_is_refused_with_file_and_line(tmp_path, change, said):
    with pytest.raises(DataError, match=rf"own\.jsonl:2: {said}"):
        OwnQuestions(str(written(tmp_path, GOOD, {**GOOD, **change}))).questions()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"question": "Which?", "options": ["a", "b"]}, "lacks video; expected video, question, options on each line"),
        ({**GOOD, "options": []}, "lacks options"),
        ({key: GOOD[key] for key in ("video", "question", "options")}, "lacks answer: expected an answer, or null"),
        ({**GOOD, "video": 3}, "video is of type int, expected a text"),
        ({**GOOD, "id": "line 1"}, "has the id 'line 1' of an earlier line; rename one"),
        ("[1]", "not a JSON object"),
    ],
)
def test_a_line_without_a_field_names_file_and_line(tmp_path, line, said):
    with pytest.raises(DataError, match=rf"own\.jsonl:2: {said}") as caught:
        OwnQuestions(str(written(tmp_path, GOOD, line))).questions()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["", "."])
def test_a_file_is_needed(data):
    with pytest.raises(DataError, match=r"expected a \.jsonl file with video, question and options on each line"):
        OwnQuestions(data).questions()


def test_what_will_be_skipped_or_not_scored_is_told_before_a_model_is_loaded(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"")
    lines = (GOOD, {**GOOD, "video": "gone.mp4"}, {**GOOD, "answer": None})
    file, told = str(written(tmp_path, *lines)), []
    section = {"benchmark": "own", "data": file, "frames": 4, "policies": {"full": {"policy": "full"}}}
    (plan,) = plan_of(make(video=section, output=str(tmp_path / "out")))
    plan.check(told.append)
    assert told == [
        f"1 of 3 questions will be skipped, since their video is missing (the first: {file}:2: {tmp_path / 'gone.mp4'})",
        f"1 of 3 questions will be asked but not scored, since they have no answer (the first: {file}:3)",
    ]


def test_own_questions_are_evaluated_and_a_missing_video_is_skipped(tmp_path):
    from video_files import write_video

    write_video(tmp_path / "a.mp4")
    file = str(written(tmp_path, GOOD, {**GOOD, "video": "gone.mp4"}))
    policies = {"full": {"policy": "full"}, "recency": {"policy": "recency"}}
    section = {"benchmark": "own", "data": file, "frames": 4, "budgets": [0.5], "policies": policies}
    records = run(make(video=section, output=str(tmp_path / "out")))
    assert {(record.policy, record.number, record.status) for record in records} == {
        ("full", 0, "scored"), ("full", 1, "skipped"), ("recency", 0, "scored"), ("recency", 1, "skipped"),
    }  # fmt: skip
    assert not any("Error" in record.message for record in records)
