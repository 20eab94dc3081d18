"""Each benchmark is read from its published layout, asks by its official prompt, and counts by its official rule."""

import json
from pathlib import Path

import benchmark_folders as folders
import pytest

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.video.benchmarks.benchmark import Benchmark
from namm_xmodal.video.benchmarks.egoschema import EgoSchema
from namm_xmodal.video.benchmarks.generated import GeneratedVideos
from namm_xmodal.video.benchmarks.longvideobench import LongVideoBench
from namm_xmodal.video.benchmarks.mlvu import MLVU
from namm_xmodal.video.benchmarks.nextqa import NExTQA
from namm_xmodal.video.benchmarks.parse import parse_choice, parse_mlvu
from namm_xmodal.video.benchmarks.subtitles import Subtitle, interleave
from namm_xmodal.video.benchmarks.table import BENCHMARKS
from namm_xmodal.video.benchmarks.videomme import VideoMME


@pytest.mark.parametrize("twin", [False, True], ids=["json", "parquet"])
def test_longvideobench_reads_both_twins_alike(tmp_path, twin):
    first, second, third = LongVideoBench(str(folders.longvideobench(tmp_path, twin))).questions()
    assert first.id == "v0_0"
    assert first.video == tmp_path / "videos/v0.mp4"
    assert first.options == ("a cup", "a book", "a lamp", "a plant")
    assert second.options == ("a cup", "a book", "a lamp")
    assert (first.answer, second.answer, third.answer) == (1, 0, 2)
    assert (first.kind, first.duration, first.evidence) == ("T2O", "15", (10, 20))
    assert not third.video.exists()


def test_longvideobench_interleaves_both_subtitle_schemas(tmp_path):
    folders.longvideobench(tmp_path)
    benchmark = LongVideoBench(str(tmp_path), subtitles="interleaved")
    first, second, _ = benchmark.questions()
    times = (0.0, 0.5, 1.0, 1.45, 1.9)
    prompt = benchmark.prompt(first, times)
    assert prompt.segments[:4] == (range(2), "hello there\n", range(2, 4), "short one\n")
    assert prompt.segments[4] == range(4, 5)
    assert prompt.segments[5].startswith("Question: When the text 'x0'")
    assert prompt.segments[5].endswith("D. a plant\nAnswer with the option's letter from the given choices directly.")
    assert prompt.candidates == ("A", "B", "C", "D")
    assert second.subtitles == (Subtitle(0.1, 0.9, "first"), Subtitle(1.2, 2.0, "until the end"))
    plain = LongVideoBench(str(tmp_path)).questions()[0]
    assert benchmark.prompt(plain, times).segments[0] == range(5)


def test_interleaving_loses_no_frame_and_keeps_only_lines_with_a_frame_inside():
    lines = [Subtitle(0.0, 1.0, "a"), Subtitle(1.1, 1.2, "b"), Subtitle(5.0, 7.0, "c")]
    assert interleave(lines, [0.4, 0.6, 1.5, 4.0]) == [range(1), "a", range(1, 2), "b", range(2, 4)]
    assert interleave([], [0.0, 1.0]) == [range(2)]


def test_longvideobench_test_split_has_no_answers(tmp_path):
    found = LongVideoBench(str(folders.longvideobench(tmp_path)), split="test").questions()
    assert [question.answer for question in found] == [None] * 3


@pytest.mark.parametrize("old", [False, True], ids=["tree of today", "older tree"])
def test_mlvu_dev(tmp_path, old):
    benchmark = MLVU(str(folders.mlvu_dev(tmp_path, old_tree=old)))
    found = benchmark.questions()
    assert [question.kind for question in found] == ["needle", "count", "count", "count"]  # no free generation
    assert all(question.video.exists() for question in found)
    assert found[0].answer == 2
    prompt = benchmark.prompt(found[0], (0.0, 1.0))
    assert prompt.segments[1].startswith("Carefully watch this video")
    assert "Options:\n(A) 1\n(B) 2" in prompt.segments[1]
    assert prompt.prefix == "Best Option: ("
    assert benchmark.macro


def test_mlvu_test_and_twin(tmp_path):
    for name in ("test", "twin"):
        (tmp_path / name).mkdir()
    (question,) = MLVU(str(folders.mlvu_test(tmp_path / "test")), split="test").questions()
    assert (question.id, question.answer, len(question.options)) == ("sp_1", None, 6)
    assert question.video.exists()
    (question,) = MLVU(str(folders.mlvu_twin(tmp_path / "twin"))).questions()
    assert (question.question, question.options) == ("What is it?", ("red", "blue", "green", "grey"))
    assert (question.answer, question.kind) == (1, "needle")


def test_videomme_with_and_without_subtitles(tmp_path):
    folders.videomme(tmp_path)
    plain, told = VideoMME(str(tmp_path)), VideoMME(str(tmp_path), subtitles="shown")
    questions = plain.questions()
    assert len(questions) == 6
    assert questions[1].options == ("one.", "two.", "three.", "four.")
    assert [question.answer for question in questions[:3]] == [0, 1, 2]
    assert questions[0].video == tmp_path / "data/abc.mp4"
    assert not questions[5].video.exists()
    text = plain.prompt(questions[0], (0.0, 1.0)).segments[1]
    assert text.startswith("Select the best answer to the following multiple-choice question based on the video. ")
    assert "subtitles" not in text
    assert text.endswith("\nHow many?\nA. one.\nB. two.\nC. three.\nD. four.\nThe best answer is:")
    told_text = told.prompt(told.questions()[0], (0.0, 1.0)).segments[1]
    assert told_text.startswith("This video's subtitles are listed below:\nfirst line\nsecond line\nSelect")
    assert "based on the video and the subtitles" in told_text
    assert plain.without_unparsed


def test_egoschema_scores_its_public_subset(tmp_path):
    folders.egoschema(tmp_path)
    subset = EgoSchema(str(tmp_path)).questions()
    assert [(question.id, question.answer) for question in subset] == [("u0", 3), ("u2", 0)]
    assert subset[0].options[3] == "C does 3"
    assert [question.answer for question in EgoSchema(str(tmp_path), split="full").questions()] == [3, None, 0]
    (tmp_path / "subset_answers.json").unlink()
    with pytest.raises(DataError, match=r"no question has a public answer; add subset_answers\.json"):
        EgoSchema(str(tmp_path)).questions()


def test_nextqa_finds_flat_and_nested_videos(tmp_path):
    first, second = NExTQA(str(folders.nextqa(tmp_path))).questions()
    assert first.video == tmp_path / "NExTVideo/1164/4010.mp4"
    assert second.video == tmp_path / "NExTVideo/4011.mp4"
    assert (first.id, first.answer, first.kind, first.tags["group"]) == ("4010_6", 2, "CW", "causal")
    assert first.question == "why did the boy run?"


def test_generated_questions_are_the_same_every_time_and_know_their_evidence():
    benchmark = GeneratedVideos(n=40, frames=[8, 16])
    found = benchmark.questions()
    assert found == GeneratedVideos(n=40, frames=[8, 16]).questions()
    assert found[:20] == GeneratedVideos(n=20, frames=[8, 16]).questions()
    assert {question.duration for question in found} == {"8 frames", "16 frames"}
    assert all(question.evidence for question in found)
    assert all(len(q.evidence) == 1 for q in found if q.kind == "needle")
    assert benchmark.parse("it is blue", next(q for q in found if q.kind == "first")) is not None
    with pytest.raises(ConfigError, match="frames=100: expected 4 to 64"):
        GeneratedVideos(frames=100)
    with pytest.raises(ConfigError, match="kinds"):
        GeneratedVideos(kinds=("colour", "smell"))


OPTIONS = ("a red car", "Because of rain", "two dogs", "nothing")
ANSWERS = [
    ("B", 1),
    ("(C)", 2),
    ("D.", 3),
    ("B. Because of rain", 1),
    ("A: a red car", 0),
    ("The best answer is C", 2),
    ("the answer is (D) since it is not B", 3),
    ("Option C.", 2),
    ("I would say (B)", 1),
    ("Because it rains", None),  # the first capital is no answer
    ("A man walks a dog", None),  # an article is no answer
    ("It shows two dogs.", 2),
    ("two dogs or nothing", None),
    ("", None),
    ("E", None),
    ("Blue", None),
    ("!!!!", None),
]


@pytest.mark.parametrize(("text", "right"), ANSWERS)
def test_parsing_guesses_nothing(text, right):
    assert parse_choice(text, OPTIONS) == right


def test_mlvu_parser_is_the_official_rule():
    assert [parse_mlvu(text, OPTIONS) for text in ("B) Because", "C", "(D) x", "B because", "")] == [
        1,
        2,
        3,
        None,
        None,
    ]


def test_what_is_missing_or_damaged_is_one_sentence(tmp_path):
    for make in (LongVideoBench, MLVU, VideoMME, EgoSchema, NExTQA):
        with pytest.raises(DataError, match="no such folder; expected the downloaded folder of"):
            make(str(tmp_path / "absent")).questions()
        with pytest.raises(DataError, match="expected the folder of"):
            make(str(tmp_path)).questions()
    (tmp_path / "lvb_val.json").write_text("{broken")
    with pytest.raises(DataError, match=r"lvb_val\.json: cannot be read"):
        LongVideoBench(str(tmp_path)).questions()
    (tmp_path / "lvb_val.json").write_text(json.dumps([{"id": "x", "question": "?"}]))
    with pytest.raises(DataError, match="question 0 lacks question_category, video_path"):
        LongVideoBench(str(tmp_path)).questions()
    (tmp_path / "lvb_val.json").unlink()
    (tmp_path / "validation-0.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="cannot be read"):
        LongVideoBench(str(tmp_path)).questions()


def test_every_benchmark_keeps_the_interface():
    assert all(issubclass(kind, object) and kind.name == name for name, kind in BENCHMARKS.items())
    assert isinstance(GeneratedVideos(n=1), Benchmark)
    assert isinstance(MLVU(str(Path("."))), Benchmark)
