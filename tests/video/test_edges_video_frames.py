"""Odd but sound files: every frame that a full decode sees, in its order and at its time, in one go and one by one."""

import itertools
import random

import numpy as np
import pytest
from odd_videos import ODD, full_decode, joined, make, two_streams, with_matrix
from video_files import read_number, write_video

from namm_xmodal.errors import ConfigError, UnsupportedCodecError, VideoError
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.decode import decode_frames
from namm_xmodal.video.index import index_video
from namm_xmodal.video.load import load_frames_at, load_video

CONSTANT = {  # files whose frames carry no stamps, or not all: frames per second
    "AVI with B-frames, h264": 30,
    "AVI with B-frames, mpeg4": 30,
    "raw h264": 30,
    "raw h264, cut at its start": 30,
    "raw hevc": 30,
    "raw mpeg2": 30,
    "MPEG-PS": 30,
}


@pytest.mark.parametrize("name", ODD)
def test_frames_and_times_are_those_of_a_full_decode(tmp_path, name):
    path = make(name, tmp_path)
    stamps, numbers = full_decode(path)
    assert len(numbers) >= 12
    clip = load_video(FrameRequest(path, 10**6))
    assert [read_number(frame) for frame in clip.frames] == numbers
    assert clip.notes == ()
    if name in CONSTANT:
        wanted = [number / CONSTANT[name] for number in range(len(numbers))]
    else:  # where edits overlap, a stamp is a frame before the last; times never descend
        wanted = list(itertools.accumulate((stamp - stamps[0] for stamp in stamps), max))
    # AVI keeps H.264 in fields: its last frames are extrapolated by half a frame, as ffmpeg does.
    assert np.allclose(clip.times, wanted, atol=2 / 30 if name == "AVI with B-frames, h264" else 1e-3)


@pytest.mark.parametrize("name", ODD)
def test_any_frame_can_be_asked_for_alone(tmp_path, name):
    path = make(name, tmp_path)
    index, (_, numbers) = index_video(path), full_decode(path)
    rng = random.Random(0)
    picks = [sorted(rng.sample(range(len(numbers)), count)) for count in (1, 1, 1, 3, 6)] + [[len(numbers) - 1]]
    for pick in picks:
        found = decode_frames(index, pick).frames
        assert [read_number(found[number]) for number in pick] == [numbers[number] for number in pick]


@pytest.mark.parametrize("starts", [(0, 0), (0, 20), (20, 0), (0, 90_000), (7, 0)])
def test_parts_that_restart_their_clock_play_one_after_the_other(tmp_path, starts):
    parts = [write_video(tmp_path / f"{place}.ts", frames=30, start=start) for place, start in enumerate(starts)]
    clip = load_video(FrameRequest(joined(tmp_path / "both.ts", *parts), 100))
    assert [read_number(frame) for frame in clip.frames] == 2 * list(range(30))
    assert np.allclose(clip.times, np.arange(60) / 30, atol=1e-3)
    assert clip.duration == pytest.approx(2.0, abs=0.01)
    assert clip.notes == ("time stamps restart 1 times; the parts follow one another",)


def test_a_pause_in_a_file_with_a_steady_clock_is_a_pause(tmp_path):
    times = [0.0, 0.1, 30.0, 30.1]
    clip = load_video(FrameRequest(write_video(tmp_path / "a.mkv", frames=4, b_frames=0, times=times), 4))
    assert np.allclose(clip.times, times, atol=2e-3)


MATRICES = {  # of (x, y) -> (ax + cy, bx + dy), and the same in numpy
    "as stored": ((1, 0, 0, 1), lambda picture: picture),
    "left and right": ((-1, 0, 0, 1), lambda picture: picture[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda picture: picture[::-1]),
    "half a turn": ((-1, 0, 0, -1), lambda picture: picture[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), lambda picture: np.rot90(picture, -1)),
    "anticlockwise": ((0, -1, 1, 0), lambda picture: np.rot90(picture)),
    "mirrored along the diagonal": ((0, 1, 1, 0), lambda picture: picture.swapaxes(0, 1)),
    "mirrored along the other": ((0, -1, -1, 0), lambda picture: np.rot90(picture, 2).swapaxes(0, 1)),
    "none at all": ((0, 0, 0, 0), lambda picture: picture),
}


@pytest.mark.parametrize("name", MATRICES)
def test_mirrored_and_turned_pictures_come_upright(tmp_path, name):
    matrix, expected = MATRICES[name]
    stored = load_video(FrameRequest(write_video(tmp_path / "a.mp4", frames=3), 3)).frames
    shown = load_video(FrameRequest(with_matrix(write_video(tmp_path / "b.mp4", frames=3), *matrix), 3)).frames
    assert np.array_equal(shown, np.stack([expected(picture) for picture in stored]))


def test_a_picture_turned_by_some_degrees_is_refused(tmp_path):
    path = with_matrix(write_video(tmp_path / "a.mp4", frames=3), 0.87, 0.5, -0.5, 0.87)
    with pytest.raises(VideoError, match=r"a\.mp4: the picture is turned by an angle other than quarter turns"):
        load_video(FrameRequest(path, 3))


@pytest.mark.parametrize(
    ("sizes", "default", "chosen"),
    [(((96, 64), (96, 64)), 1, 1), (((96, 64), (96, 64)), 0, 0), (((96, 64), (192, 128)), None, 1)],
)
def test_the_video_is_the_stream_that_ffmpeg_plays(tmp_path, sizes, default, chosen):
    index = index_video(two_streams(tmp_path / "a.mkv", sizes, default))
    assert len(index.pts) == (10, 15)[chosen]
    assert (index.width, index.height) == sizes[chosen]


def test_pictures_that_change_their_size_are_scaled_to_the_first(tmp_path):
    small = write_video(tmp_path / "small.ts", frames=20)
    large = write_video(tmp_path / "large.ts", frames=20, size=(192, 128), start=20 / 30)
    clip = load_video(FrameRequest(joined(tmp_path / "both.ts", small, large), 100))
    assert clip.frames.shape == (40, 64, 96, 3)
    assert [read_number(frame) for frame in clip.frames] == 2 * list(range(20))
    assert clip.notes == ("20 frames had another size than the first and were scaled to it",)


@pytest.mark.parametrize("seconds", [[float("nan")], [0.5, float("inf")], []])
def test_times_that_are_no_times_are_refused(tmp_path, seconds):
    with pytest.raises(ConfigError, match=r"seconds=.*: expected at least one time, and finite ones"):
        load_frames_at(write_video(tmp_path / "a.mp4", frames=2), seconds)


@pytest.mark.parametrize(
    ("change", "sentence"), [({"by": "tiem"}, "by='tiem': expected time or index"), ({"max_side": 0}, "max_side=0")]
)
def test_requests_that_mean_nothing_are_refused(tmp_path, change, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_video(FrameRequest(write_video(tmp_path / "a.mp4", frames=2), 1, **change))


SERVED_BY_DECORD = {
    "h264": lambda at: write_video(at / "a.mp4", frames=100, b_frames=3, gop=25),
    "h264, mkv, offset": lambda at: write_video(at / "a.mkv", frames=60, start=5.0),
    "vp9": lambda at: write_video(at / "a.webm", frames=30, codec="libvpx-vp9", b_frames=0),
    "fragments": lambda at: make("fragments", at),
}
REFUSED_BY_DECORD = {
    "hevc, 10 bits, open groups": "which is not tested",
    "hevc, temporal layers": "which is not tested",
    "sound is longer, ts": "which is not tested",
    "trimmed": "which is not tested",
    "two frames with one stamp": "which is not tested",
    "mirrored": "decodes another picture at frame 0",
}


@pytest.mark.parametrize("name", SERVED_BY_DECORD)
def test_decord_serves_what_it_serves_equally(tmp_path, name):
    pytest.importorskip("decord")
    path = SERVED_BY_DECORD[name](tmp_path)
    for wanted in (4, 1000):
        ours, theirs = (load_video(FrameRequest(path, wanted, backend=backend)) for backend in ("pyav", "decord"))
        assert [read_number(frame) for frame in theirs.frames] == [read_number(frame) for frame in ours.frames]
        assert theirs.times == ours.times


@pytest.mark.parametrize("name", REFUSED_BY_DECORD)
def test_decord_refuses_the_rest(tmp_path, name):
    pytest.importorskip("decord")
    mirrored = name == "mirrored"
    path = with_matrix(write_video(tmp_path / "m.mp4"), -1, 0, 0, 1) if mirrored else make(name, tmp_path)
    with pytest.raises(UnsupportedCodecError, match=f"decord cannot be used .*{REFUSED_BY_DECORD[name]}"):
        load_video(FrameRequest(path, 4, backend="decord"))
