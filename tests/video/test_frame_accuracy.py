"""Every frame asked for is the frame that comes back, told by numbers drawn into the pixels."""

import numpy as np
import pytest
from video_files import read_number, rotate, write_video

from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.index import index_video
from namm_xmodal.video.load import load_frames_at, load_video
from namm_xmodal.video.samplers import SAMPLERS, choose_frames

VARIABLE = np.cumsum(np.random.default_rng(0).choice([1 / 60, 1 / 30, 1 / 10, 1 / 5], 80)).tolist()
OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:keyint=30:min-keyint=30"}
FILES = {
    "constant rate with sound": ("a.mp4", {"audio": True}),
    "variable rate": ("a.mp4", {"frames": 80, "times": VARIABLE}),
    "many B-frames": ("a.mp4", {"frames": 100, "b_frames": 3, "gop": 50}),
    "open GOP": ("a.mkv", {"frames": 100, "gop": 30, "options": OPEN_GOP}),
    "offset start, mkv": ("a.mkv", {"start": 5.0}),
    "offset start, mp4": ("a.mp4", {"start": 5.0}),
    "transport stream": ("a.ts", {"frames": 90}),
    "avi": ("a.avi", {"codec": "mpeg4", "b_frames": 0}),
    "avi without time stamps": ("a.avi", {"codec": "mpeg4", "b_frames": 2}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9", "b_frames": 0, "frames": 30}),
    "one frame": ("a.mp4", {"frames": 1}),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            file, options = FILES[name]
            made[name] = write_video(tmp_path_factory.mktemp("video") / file, **options)
        return made[name]

    return get


@pytest.mark.parametrize("name", FILES)
def test_every_sampler_gets_exactly_its_frames(written, name):
    path = written(name)
    index = index_video(path)
    assert len(index.pts) == FILES[name][1].get("frames", 60)
    for sampler in SAMPLERS:
        for wanted in (1, 8, 32):
            chosen = choose_frames(index, sampler, wanted, "index")
            clip = load_video(FrameRequest(path, wanted, sampler, by="index"))
            assert [read_number(frame) for frame in clip.frames] == chosen
            assert clip.times == tuple(index.times[number] for number in chosen)
            assert clip.notes == ()


@pytest.mark.parametrize("name", FILES)
def test_requested_times_give_the_frame_on_screen(written, name):
    path = written(name)
    index = index_video(path)
    exact = load_frames_at(path, index.times)
    assert [read_number(frame) for frame in exact.frames] == list(range(len(index.pts)))
    ends = [*index.times[1:], index.times[-1] + 1.0]
    just_before_the_next = [(start + 3 * end) / 4 for start, end in zip(index.times, ends, strict=True)][::7]
    found = load_frames_at(path, just_before_the_next)
    assert [read_number(frame) for frame in found.frames] == list(range(len(index.pts)))[::7]


def test_times_of_a_variable_rate_file_are_those_written(written):
    index = index_video(written("variable rate"))
    assert np.allclose(index.times, np.array(VARIABLE) - VARIABLE[0], atol=1e-4)


def test_sampling_by_time_weighs_moments_and_by_index_frames(written):
    index = index_video(written("variable rate"))
    times = np.array(index.times)
    by_time = times[choose_frames(index, "linspace", 9, "time")]
    even = np.linspace(0, times[-1], 9)
    assert (by_time <= even + 1e-3).all()
    # On screen then, so at most one frame older, and as much again for the rounding down of the rule itself.
    assert (even - by_time < 0.2 + times[-1] / (len(times) - 1)).all()
    constant = index_video(written("constant rate with sound"))
    for sampler in SAMPLERS:
        assert choose_frames(constant, sampler, 8, "time") == choose_frames(constant, sampler, 8, "index")


def test_samplers_are_those_of_the_benchmarks():
    class Index:
        pts = tuple(range(300))
        times = tuple(at / 30 for at in range(300))
        duration = 10.0

    def chosen(name, wanted):
        return choose_frames(Index, name, wanted, "index")

    assert chosen("linspace", 4) == [0, 99, 199, 299]
    assert chosen("longvideobench", 4) == [0, 75, 150, 225]
    assert len(chosen("longvideobench", 64)) == 10  # at most one a second
    assert chosen("segment_centres", 4) == [37, 112, 187, 261]
    assert chosen("inner_points", 4) == [60, 120, 180, 240]
    with pytest.raises(UnknownNameError, match="unknown sampler 'linspaced': did you mean linspace"):
        chosen("linspaced", 4)
    with pytest.raises(ConfigError, match="frames=0: expected at least 1"):
        chosen("linspace", 0)


def test_a_rotated_video_comes_upright(tmp_path):
    stored = write_video(tmp_path / "a.mp4", frames=12)
    rotated = rotate(write_video(tmp_path / "b.mp4", frames=12))
    straight, turned = (load_video(FrameRequest(path, 12)).frames for path in (stored, rotated))
    assert turned.shape[1:3] == (96, 64)
    assert np.array_equal(np.rot90(straight, -1, (1, 2)), turned)


def test_decord_gives_the_same_frames(written, tmp_path):
    pytest.importorskip("decord")
    for path in (written("variable rate"), rotate(write_video(tmp_path / "b.mp4", frames=12))):
        ours, theirs = (load_video(FrameRequest(path, 5, backend=backend)) for backend in ("pyav", "decord"))
        assert theirs.frames.shape == ours.frames.shape
        assert theirs.times == ours.times
        assert np.abs(theirs.frames.astype(int) - ours.frames.astype(int)).mean() < 2  # other rounding of colours


def test_large_frames_are_scaled_down_and_it_is_said(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=3, size=(384, 256))
    clip = load_video(FrameRequest(path, 3, max_side=64))
    assert clip.frames.shape == (3, 64, 96, 3)
    assert [read_number(frame) for frame in clip.frames] == [0, 1, 2]
    assert clip.notes == ("scaled down from 384 x 256",)
