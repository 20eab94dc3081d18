"""Answer keys are read by one rule; a bad item is one sentence; a file of another benchmark is refused."""

import csv
import json

import benchmark_folders as folders
import pytest

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.video.benchmarks.answers import read_answer, read_options
from namm_xmodal.video.benchmarks.egoschema import EgoSchema
from namm_xmodal.video.benchmarks.files import VideoFolder, inside
from namm_xmodal.video.benchmarks.longvideobench import LongVideoBench
from namm_xmodal.video.benchmarks.mlvu import MLVU
from namm_xmodal.video.benchmarks.nextqa import NExTQA
from namm_xmodal.video.benchmarks.parse import parse_choice
from namm_xmodal.video.benchmarks.subtitles import Subtitle, read_longvideobench, read_srt
from namm_xmodal.video.benchmarks.videomme import VideoMME

COLOURS = ("red", "blue", "green", "grey")
COUNTS = ("1", "2", "3", "4")
SWAPPED = ("C", "A", "D", "B")
NAN = float("nan")

RIGHT = [
    ("B", COLOURS, "letter", 1),
    (" B ", COLOURS, "letter", 1),
    ("(b)", COLOURS, "letter", 1),
    ("B.", COLOURS, "letter", 1),
    ("B. blue", COLOURS, "letter", 1),
    ("blue", COLOURS, "letter", 1),
    ("A", SWAPPED, "letter", 0),  # the letter, not the option whose text is "A"
    ("A", SWAPPED, "text", 1),
    (1, COLOURS, "index", 1),
    ("1", COLOURS, "index", 1),
    (1.0, COLOURS, "index", 1),
    ("1.0", COLOURS, "index", 1),
    ("B", COLOURS, "index", 1),
    ("blue", COLOURS, "index", 1),
    (3, COUNTS, "index", 3),  # not the option whose text is "3"
    (3, COUNTS, "text", 2),  # not the option of index 3
    ("3", COUNTS, "text", 2),
    (3.0, COUNTS, "text", 2),
    ("blue ", COLOURS, "text", 1),
    ("B", COLOURS, "text", 1),
]
WRONG = [
    ("E", COLOURS, "letter", "is not among its 4 options: expected a letter of A to D"),
    ("B. red", COLOURS, "letter", "matches options A and B"),
    (1, COLOURS, "letter", "expected a letter of A to D"),  # from 0 or from 1?
    ("2", COUNTS, "letter", "expected a letter of A to D"),
    (4, COLOURS, "index", "is not among its 4 options: expected 0 to 3"),
    (-1, COLOURS, "index", "expected 0 to 3"),
    (1.5, COLOURS, "index", "expected 0 to 3"),
    ("A", SWAPPED, "index", "matches options A and B"),
    (True, COLOURS, "index", "answer is True: expected 0 to 3"),
    (NAN, COLOURS, "index", "answer is nan: expected 0 to 3"),
    (None, COLOURS, "text", "answer is None: expected the text of an option"),
    ("", COLOURS, "text", "expected the text of an option"),
    (2, COLOURS, "text", "expected the text of an option"),
    ("pink", COLOURS, "text", "is not among its 4 options"),
    ("red", ("red", "blue", "red"), "text", "matches options A and C"),
    (["A"], COLOURS, "letter", "expected text"),
    ("9" * 5000, COLOURS, "index", "expected 0 to 3"),
]


@pytest.mark.parametrize(("key", "options", "form", "right"), RIGHT)
def test_the_published_form_decides_what_a_key_means(key, options, form, right):
    assert read_answer(key, options, form) == right


@pytest.mark.parametrize(("key", "options", "form", "message"), WRONG)
def test_a_key_that_names_no_option_or_two_is_refused(key, options, form, message):
    with pytest.raises(ItemError, match=message) as caught:
        read_answer(key, options, form)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_letters_in_front_of_options_are_taken_off_only_where_all_carry_theirs():
    assert read_options(["A. C", "B. A", "C. D", "D. B"]) == SWAPPED
    assert read_options(["(A) one", "(B) two"]) == ("one", "two")
    assert read_options(["A.one", "B) two", "C: three"]) == ("one", "two", "three")
    assert read_options(["A. Lincoln", "J. Adams"]) == ("A. Lincoln", "J. Adams")
    assert read_options([1, 2.0, 2.5]) == ("1", "2", "2.5")
    assert len(read_options([f"option {at}" for at in range(12)])) == 12
    for given, message in (
        (["B. x", "A. y"], "have the letters B, A: expected A, B"),
        (["x"], "has 1 option: expected 2 to 26"),
        ([str(at) for at in range(27)], "has 27 options: expected 2 to 26"),
        (["x", " "], "option B is empty"),
        (["A. x", "B. "], "option B is empty"),
        (["x", None], "option B is None: expected text"),
        (["x", {"y": 1}], "option B is {'y': 1}: expected text"),
        ("A. x B. y", "expected a list"),
        ({"A": "x"}, "expected a list"),
        (["x", "\ud800"], "found a lone surrogate"),
    ):
        with pytest.raises(ItemError, match=message):
            read_options(given)


def test_more_than_eight_options_are_all_asked_and_all_read(tmp_path):
    item = {"video": "t0.mp4", "question": "Which?", "question_type": "sportsQA", "question_id": "x"}
    item |= {"candidates": [f"thing {at}" for at in range(12)], "answer": "thing 10"}
    (tmp_path / "test_question.json").write_text(json.dumps([item]))
    benchmark = MLVU(str(tmp_path), split="test")
    (question,) = benchmark.questions()
    assert question.answer == 10
    prompt = benchmark.prompt(question, (0.0,))
    assert prompt.candidates[-1] == "L" and "(L) thing 11" in prompt.segments[1]
    assert benchmark.parse("K) thing 10", question) == 10
    assert parse_choice("The answer is J", question.options) == 9
    assert parse_choice("I see nothing", question.options) is None  # no choice of option I


# benchmark -> (maker of its folder, class, annotation file, name of the answer, questions)
KINDS = {
    "longvideobench": (folders.longvideobench, LongVideoBench, "lvb_val.json", "correct_choice", 3),
    "mlvu": (folders.mlvu_dev, MLVU, "MLVU/json/4_count.json", "answer", 4),
    "videomme": (folders.videomme, VideoMME, "videomme/test-00000-of-00001.parquet", "answer", 6),
    "egoschema": (folders.egoschema, EgoSchema, "questions.json", "answer", 2),
    "nextqa": (folders.nextqa, NExTQA, "val.csv", "answer", 2),
}


def change(path, edit):
    """Rewrites an annotation file after `edit(rows)`."""
    if path.suffix == ".csv":
        rows = list(csv.DictReader(path.open(newline="")))
        edit(rows)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [name for name in rows[-1] if name], extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        from pyarrow import parquet

        rows = parquet.read_table(path).to_pylist()
        edit(rows)
        folders.write_parquet(path, rows)
    else:
        rows = json.loads(path.read_text())
        edit(rows)
        path.write_text(json.dumps(rows))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("answer", "zebra"),
        ("answer", "7"),
        ("answer", ""),
        ("question", ""),
        ("video", "../../secret.mp4"),
        ("video", "/etc/passwd"),
        ("options", "gone"),
    ],
)
def test_one_bad_item_is_one_sentence_and_the_others_stay(tmp_path, name, field, value):
    make, kind, file, answer, count = KINDS[name]
    make(tmp_path)
    before = kind(str(tmp_path)).questions()

    def edit(rows):
        row = rows[0]
        if field == "options":
            for column in list(row):
                if column in ("options", "candidates"):
                    row[column] = []
                elif column.startswith("option ") or column in ("a0", "a1", "a2", "a3", "a4"):
                    row[column] = ""
        else:
            names = {"answer": answer, "video": ("video_path", "video", "videoID", "video_idx"), "question": "question"}
            for column in [names[field]] if isinstance(names[field], str) else names[field]:
                if column in row or (column, name) in (("video_idx", "egoschema"), ("answer", "egoschema")):
                    row[column] = value

    change(tmp_path / file, edit)
    after = kind(str(tmp_path)).questions()
    if (name, field, value) == ("egoschema", "answer", ""):
        assert after == before  # its key stands in the other file
        return
    (bad,) = [question for question in after if question.problem]
    assert len(after) == count
    assert bad.scored and bad.video is None
    assert "\n" not in bad.problem and (tmp_path / file).name in bad.problem
    place = after.index(bad)
    assert after[:place] + after[place + 1 :] == before[:place] + before[place + 1 :]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_a_whole_file_of_another_benchmark_is_refused_with_what_was_expected(tmp_path, name, other):
    if name == other:
        return
    for each in ("own", "other"):
        (tmp_path / each).mkdir()
    KINDS[name][0](tmp_path / "own")
    KINDS[other][0](tmp_path / "other")
    rows = []
    change(tmp_path / "other" / KINDS[other][2], rows.extend)
    place = tmp_path / "own" / KINDS[name][2]
    if place.suffix == ".csv":
        with place.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif place.suffix == ".parquet":
        folders.write_parquet(place, rows)
    else:
        place.write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r"question 0 lacks .*; expected .* questions, with") as caught:
        KINDS[name][1](str(tmp_path / "own")).questions()
    assert "\n" not in str(caught.value)


def test_an_index_as_text_float_or_letter_is_no_secret(tmp_path):
    folders.longvideobench(tmp_path)

    def edit(rows):
        rows[0]["correct_choice"], rows[1]["correct_choice"], rows[2]["correct_choice"] = "1", 0.0, "C"

    change(tmp_path / "lvb_val.json", edit)
    assert [question.answer for question in LongVideoBench(str(tmp_path)).questions()] == [1, 0, 2]


def test_numbers_among_the_options_are_matched_as_the_benchmark_means_them(tmp_path):
    folders.mlvu_dev(tmp_path)
    change(tmp_path / "MLVU/json/4_count.json", lambda rows: rows[0].update(candidates=[1, 2, 3, 4], answer=3))
    assert {question.answer for question in MLVU(str(tmp_path)).questions()} == {2}


def test_letters_that_are_options_texts(tmp_path):
    folders.videomme(tmp_path)

    def edit(rows):
        for row in rows:
            row.update(options=["A. C", "B. A", "C. D", "D. B"], answer="A")

    change(tmp_path / "videomme/test-00000-of-00001.parquet", edit)
    questions = VideoMME(str(tmp_path)).questions()
    assert {question.answer for question in questions} == {0}
    assert questions[0].options == SWAPPED


def test_contradictory_keys_of_egoschema_are_refused(tmp_path):
    folders.egoschema(tmp_path)
    change(tmp_path / "questions.json", lambda rows: rows[0].update(answer=1))
    first, second = EgoSchema(str(tmp_path)).questions()
    assert "answer 1 in questions.json, 3 in subset_answers.json: expected one" in first.problem
    assert (second.id, second.answer) == ("u2", 0)


def test_an_id_is_used_once(tmp_path):
    folders.longvideobench(tmp_path)
    change(tmp_path / "lvb_val.json", lambda rows: rows[2].update(id="v0_0"))
    found = LongVideoBench(str(tmp_path)).questions()
    assert [question.id for question in found] == ["v0_0", "v1_0", "lvb_val.json, question 2"]
    assert "has the id 'v0_0' of lvb_val.json, question 0" in found[2].problem


def test_rows_that_are_no_objects_are_bad_items(tmp_path):
    folders.longvideobench(tmp_path)
    for row in (None, "text", 3, []):
        change(tmp_path / "lvb_val.json", lambda rows, row=row: rows.__setitem__(1, row))
        found = LongVideoBench(str(tmp_path)).questions()
        assert [bool(question.problem) for question in found] == [False, True, False]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", "abc"),
        ("duration", -1),
        ("duration", NAN),
        ("duration", 10**400),
        ("starting_timestamp_for_subtitles", float("inf")),
        ("starting_timestamp_for_subtitles", [1]),
        ("position", "[1, 2"),
        ("position", [-3]),
        ("position", "many"),
        ("position", {"a": 1}),
        ("subtitle_path", "../v0.json"),
        ("subtitle_path", "gone.json"),
        ("id", ["x"]),
        ("question", "half a character \ud800"),
    ],
)
def test_values_of_longvideobench_that_make_no_sense(tmp_path, field, value):
    folders.longvideobench(tmp_path)
    (tmp_path / "subtitles/v2.json").write_text("[]")
    change(tmp_path / "lvb_val.json", lambda rows: rows[0].update({field: value}))
    if field == "duration" and value != value:
        return  # NaN is how tables write an empty cell
    found = LongVideoBench(str(tmp_path), subtitles="interleaved").questions()
    assert [bool(question.problem) for question in found] == [True, False, False]


def test_byte_order_marks_and_spaces_do_no_harm(tmp_path):
    for name in ("plain", "odd"):
        (tmp_path / name).mkdir()
    folders.longvideobench(tmp_path / "plain")
    folders.longvideobench(tmp_path / "odd")
    path = tmp_path / "odd/lvb_val.json"
    rows = json.loads(path.read_text())
    odd = [
        {f"{name} ": f"{value} " if name in ("id", "video_path") else value for name, value in row.items()}
        for row in rows
    ]
    path.write_text("\ufeff" + json.dumps(odd), encoding="utf-8")
    (tmp_path / "odd/videos/v1.mp4").rename(tmp_path / "odd/videos/v1.mp4 ")
    plain, found = (LongVideoBench(str(tmp_path / name)).questions() for name in ("plain", "odd"))
    assert [question.id for question in found] == [question.id for question in plain]
    assert [question.answer for question in found] == [question.answer for question in plain]
    assert [question.video.exists() for question in found] == [True, True, False]
    (tmp_path / "ego").mkdir()
    folders.egoschema(tmp_path / "ego")
    for name in ("questions.json", "subset_answers.json"):
        path = tmp_path / "ego" / name
        path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert [question.answer for question in EgoSchema(str(tmp_path / "ego")).questions()] == [3, 0]


def test_videos_and_annotations_in_parts(tmp_path):
    folders.videomme(tmp_path)
    (tmp_path / "data/part_03").mkdir()
    (tmp_path / "data/abc.mp4").rename(tmp_path / "data/part_03/abc.MP4")
    assert VideoMME(str(tmp_path)).questions()[0].video == tmp_path / "data/part_03/abc.MP4"
    whole = tmp_path / "videomme/test-00000-of-00001.parquet"
    rows = []
    change(whole, rows.extend)
    whole.unlink()
    folders.write_parquet(tmp_path / "videomme/test-00000-of-00002.parquet", rows[:4])
    with pytest.raises(DataError, match="1 of 2 parts exist"):
        VideoMME(str(tmp_path)).questions()
    folders.write_parquet(tmp_path / "videomme/test-00001-of-00002.parquet", rows[4:])
    assert [question.id for question in VideoMME(str(tmp_path)).questions()] == [row["question_id"] for row in rows]


def test_a_video_is_found_once_or_refused(tmp_path):
    for place in ("a/x.mp4", "b/x.mp4", "b/y.webm", "b/Y.mp4"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(b"-")
    videos = VideoFolder([tmp_path / "videos", tmp_path])
    assert videos.find("y") == tmp_path / "b/y.webm"  # names of YouTube differ by case
    assert videos.find("Y") == tmp_path / "b/Y.mp4"
    assert videos.find("a/x.mp4") == tmp_path / "a/x.mp4"
    assert videos.find("z") == tmp_path / "videos/z.mp4"
    with pytest.raises(ItemError, match="exists twice"):
        videos.find("x.mp4")
    for name in ("", "/x", "a/../../x", "..\\x", "x\0", "x" * 256):
        with pytest.raises(ItemError, match="expected one inside"):
            inside(tmp_path, name)
    assert videos.find("x" * 253) == tmp_path / "videos" / ("x" * 253 + ".mp4")


@pytest.mark.parametrize(
    "text",
    [
        "1\n00:00:00,000 --> never\nx\n",
        "1\n00:00:xx,000 --> 00:00:01,000\nx\n",
        "1\n00:00:00,000 -->\nx\n",
        "1\n-00:00:01,000 --> 00:00:01,000\nx\n",
        "1\nnan --> inf\nx\n",
        "WEBVTT without any",
    ],
)
def test_broken_subtitles_skip_their_questions_only(tmp_path, text):
    folders.videomme(tmp_path)
    (tmp_path / "subtitle/abc.srt").write_text(text)
    found = VideoMME(str(tmp_path), subtitles="shown").questions()
    assert [bool(question.problem) for question in found] == [True] * 3 + [False] * 3
    assert "abc.srt" in found[0].problem


def test_subtitles_that_players_accept_are_read(tmp_path):
    path = tmp_path / "x.srt"
    lines = (
        "\ufeff1",
        "00:01,5 --> 00:02.500 X1:10",
        "<i>one</i>",
        "2",
        "0:00:03,000 --> 0:00:04,000",
        "two",
        "",
        "42",
        "",
    )
    path.write_bytes("\r\n".join(lines).encode())
    assert read_srt(path) == (Subtitle(1.5, 2.5, "one"), Subtitle(3.0, 4.0, "two 42"))
    assert read_srt(tmp_path / "absent.srt") == ()


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "3",
        '[{"timestamp": [1], "text": "x"}]',
        '[{"timestamp": [NaN, 2], "text": "x"}]',
        '[{"timestamp": [-1, 2], "text": "x"}]',
        '[{"start": "1", "end": "2", "line": "x"}]',
        '[{"start": 1, "end": 2, "line": "x"}]',
        '["x"]',
        "[" * 100000,
    ],
)
def test_broken_subtitles_of_longvideobench(tmp_path, content):
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(ItemError, match=r"its subtitles .*v\.json"):
        read_longvideobench(tmp_path / "v.json", 0.0, 10.0)


def test_nothing_left_to_ask_is_one_sentence(tmp_path):
    folders.longvideobench(tmp_path)
    change(tmp_path / "lvb_val.json", lambda rows: [row.update(correct_choice=9) for row in rows])
    with pytest.raises(DataError, match=r"none of 3 questions is usable \(lvb_val.json, question 0: answer 9"):
        LongVideoBench(str(tmp_path)).questions()
    (tmp_path / "lvb_val.json").write_text("[]")
    with pytest.raises(DataError, match="expected a list of questions, found none"):
        LongVideoBench(str(tmp_path)).questions()
    (tmp_path / "lvb_val.json").write_text('{"questions": []}')
    with pytest.raises(DataError, match="expected a list of questions, found dict"):
        LongVideoBench(str(tmp_path)).questions()


def test_subtitles_that_are_asked_for_must_be_there(tmp_path):
    for name in ("mme", "lvb"):
        (tmp_path / name).mkdir()
    folders.videomme(tmp_path / "mme")
    (tmp_path / "mme/subtitle").rename(tmp_path / "mme/elsewhere")
    with pytest.raises(DataError, match="no folder subtitle"):
        VideoMME(str(tmp_path / "mme"), subtitles="shown").questions()
    folders.longvideobench(tmp_path / "lvb")
    (tmp_path / "lvb/subtitles/v1.json").unlink()
    found = LongVideoBench(str(tmp_path / "lvb"), subtitles="interleaved").questions()
    assert "v1.json: no such file" in found[1].problem
    (tmp_path / "lvb/subtitles").rename(tmp_path / "lvb/elsewhere")
    with pytest.raises(DataError, match="no folder subtitles"):
        LongVideoBench(str(tmp_path / "lvb"), subtitles="interleaved").questions()
