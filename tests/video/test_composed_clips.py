"""Composed clips: names come from captions, answers from the composition, and evaluation shows what training did not."""

import numpy as np
import pytest
from picture_folder import make_pictures

from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.video.benchmarks.composed import ComposedVideos
from namm_xmodal.video.composed.captions import concept, short_name
from namm_xmodal.video.composed.clip import KNOWN_VARIANTS, MOST_FRAMES, compose, compose_from
from namm_xmodal.video.composed.pictures import find_pictures
from namm_xmodal.video.composed.questions import COUNTS, KINDS, questions_about
from namm_xmodal.video.composed.render import SIDE, render


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.mark.parametrize(
    ("caption", "name"),
    [
        ("A great blue heron.", "great blue heron"),
        ("A pair of closed scissors.", "closed scissors"),
        ("A peacock (a male peafowl).", "peacock"),
        ("A \u201cFuji\u201d apple.", "Fuji apple"),
        ("A knight\u2019s helmet.", "knight's helmet"),
        ("A happy little snail.", "snail"),
        ("A spider playing soccer.", "spider"),
        ("A headstone.", "gravestone"),
        ("Eat your broccoli!", None),
        ("A ripe, red tomato!", None),
        ("A 747.", None),
        ("", None),
    ],
)
def test_names_come_from_captions(caption, name):
    assert short_name(caption) == name


def test_the_concept_is_the_last_word():
    assert concept("red Apple") == concept("Fuji apple") == "apple"


def test_evaluation_shows_no_concept_of_training(folder):
    pictures = find_pictures(folder)
    new = {each.concept for each in pictures if each.new}
    assert new and not new & {each.concept for each in pictures if not each.new}
    for pool in ("new", "known"):
        clip = compose(3, 1, 8, pool, folder)
        assert {each.new for each in (*clip.pictures, *clip.others)} == {pool == "new"}
    seen, other = compose(3, 1, 8, "known", folder, training=True), compose(3, 1, 8, "known", folder)
    assert max(seen.variants) < KNOWN_VARIANTS <= min(other.variants)


def test_a_clip_is_the_same_every_time_and_shows_its_pictures_in_order(folder):
    clip = compose(5, 2, 12, "new", folder)
    assert clip == compose(5, 2, 12, "new", folder) != compose(5, 3, 12, "new", folder)
    video = clip.video()
    assert video.shape == (12, SIDE, SIDE, 3)
    assert (video == compose(5, 2, 12, "new", folder).video()).all()
    assert clip.shown == sorted(clip.shown) and set(clip.shown) == set(range(len(clip.pictures)))
    for at, frame in enumerate(video):
        assert (frame == render(clip.pictures[clip.shown[at]], clip.variants[at])).all()
    many = (*clip.pictures, *clip.others)
    assert not any(a.clashes(b) for i, a in enumerate(many) for b in many[:i])


def test_a_clip_may_be_kept_to_few_pictures(folder):
    pictures = find_pictures(folder)
    counts = {len(compose_from(pictures, (9, number), 8, most=3).pictures) for number in range(40)}
    assert counts == {2, 3}


def test_answers_follow_from_the_composition(folder):
    asked = set()
    for number in range(40):
        clip = compose(7, number, 10, "new", folder)
        names = [picture.name for picture in clip.pictures]
        questions = {question.kind: question for question in questions_about(clip)}
        asked |= set(questions)
        for question in questions.values():
            assert question.options.count(question.answer) == 1 and len(set(question.options)) == len(question.options)
            assert all(0 <= frame < 10 for frame in question.evidence) and question.evidence
            listed = all(option in question.text for option in question.options)
            assert listed == (question.kind != "describe")
        assert questions["first"].answer == names[0] and questions["first"].evidence[0] == 0
        assert questions["last"].answer == names[-1] and questions["last"].evidence[-1] == 9
        before = questions["after"].text.split(" after the ")[1].split(":")[0]
        assert names[names.index(before) + 1] == questions["after"].answer
        assert COUNTS.index(questions["count"].answer) + 2 == len(names)
        wanted = questions["present"].text.removeprefix("is any ").split(" shown")[0]
        assert (questions["present"].answer == "yes") == (wanted in names)
        assert questions["describe"].answer == ", ".join(names)
    assert asked == set(KINDS)


def test_the_benchmark_is_reproducible_and_says_what_is_wrong(folder):
    benchmark = ComposedVideos(n=30, frames=[8, 12], data=str(folder))
    questions = benchmark.questions()
    assert len(questions) == 30 and questions[:10] == ComposedVideos(n=10, frames=[8, 12], data=str(folder)).questions()
    assert {question.duration for question in questions} == {"8 frames", "12 frames"}
    asked = next(question for question in questions if question.kind == "first")
    assert benchmark.parse(f"The {asked.options[asked.answer]}.", asked) == asked.answer
    assert benchmark.parse("none of these", asked) is None
    with pytest.raises(ConfigError, match="frames=100: expected 4 to 64"):
        ComposedVideos(frames=MOST_FRAMES + 36)
    with pytest.raises(ConfigError, match="kinds"):
        ComposedVideos(kinds=("smell",))
    with pytest.raises(ConfigError, match="n=0"):
        ComposedVideos(n=0)


def test_a_folder_without_captioned_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="0 usable pictures; expected some dozens"):
        find_pictures(tmp_path)


def test_a_damaged_picture_is_named(tmp_path):
    folder = make_pictures(tmp_path)
    broken = next(picture for picture in find_pictures(folder) if picture.new)
    broken.path.write_bytes(b"no picture")
    with pytest.raises(DataError, match=f"{broken.path.name}: cannot be read"):
        render(broken, 10**6)


def test_frames_differ_but_stay_on_the_ground(folder):
    picture = find_pictures(folder)[0]
    first, second = render(picture, 0), render(picture, 1)
    assert first.dtype == np.uint8 and (first != second).any()
    assert first[0, 0].min() >= 190 or first[-1, -1].min() >= 190
