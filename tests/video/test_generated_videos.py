"""Generated videos: the same for the same seed, drawn as the scene says, asked about what can be seen."""

import itertools

import numpy as np
import pytest

from namm_xmodal.errors import DataError
from namm_xmodal.training.llava_small.dense_stage import cell_labels
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.procedural.words import COLOURS, KINDS


@pytest.mark.parametrize("frames", [4, 8, 12, 32, 64])
def test_scenes_are_consistent(frames):
    kinds = set()
    for number in range(30):
        clip = make_clip(5, number, frames)
        scene, events = clip.scene, clip.scene.events
        assert clip.video.shape == (frames, 48, 48, 3)
        assert events[0].start >= 0
        assert events[-1].stop <= frames
        assert all(one.stop <= two.start for one, two in itertools.pairwise(events))
        assert len({event.colour for event in events}) == len(events)
        for question in clip.questions:
            kinds.add(question.kind)
            assert question.answer in question.options
            assert question.evidence == tuple(sorted(set(question.evidence)))
            assert 0 <= question.evidence[0] <= question.evidence[-1] < frames
        assert [q.evidence for q in clip.questions if q.kind == "needle"] == [(scene.sign_frame,)]
        assert len({q.kind for q in clip.questions}) == len(clip.questions)
    assert kinds >= set(KINDS) - ({"direction"} if frames == 4 else set())


def test_the_same_seed_makes_the_same_clip_and_another_size_the_same_questions():
    one, two, other = make_clip(1, 2, 8), make_clip(1, 2, 8), make_clip(1, 3, 8)
    assert np.array_equal(one.video, two.video)
    assert one.questions == two.questions
    assert not np.array_equal(one.video, other.video)
    large = make_clip(1, 2, 8, side=96)
    assert large.video.shape == (8, 96, 96, 3)
    assert large.questions == one.questions


def test_shapes_are_drawn_where_the_scene_says_and_nowhere_else():
    for number in range(20):
        clip = make_clip(2, number, 8)
        shown = {frame for event in clip.scene.events for frame in range(event.start, event.stop)}
        for event in clip.scene.events:
            for frame in range(event.start, event.stop):
                if frame == clip.scene.sign_frame:
                    continue  # the sign may cover it
                x, y = (int(48 * place) for place in event.centre(frame))
                pixel = clip.video[frame, min(y, 47), min(x, 47)].astype(int)
                nearest = min(COLOURS, key=lambda name: abs(pixel - np.array(COLOURS[name])).sum())
                assert nearest == event.colour
        assert all(clip.rendering.shape_cover[frame].sum() == 0 for frame in set(range(8)) - shown)
        white = (clip.video.min(-1) > 240).sum((1, 2))
        assert white.argmax() == clip.scene.sign_frame


def test_labels_of_cells_name_what_covers_them():
    clip = make_clip(0, 1, 8)
    labels = cell_labels(clip).reshape(8, 3, 3, 4)
    event = clip.scene.events[0]
    x, y = event.centre(event.start)
    assert labels[event.start, int(3 * y), int(3 * x), 0] == 1 + list(COLOURS).index(event.colour)
    assert (labels[..., 2] > 0).sum() == 1
    assert labels[0, 2, 1, 3] == 8


def test_lengths_out_of_range_are_refused():
    with pytest.raises(DataError, match="frames=3: expected 4 to 64 frames"):
        make_clip(0, 0, 3)
