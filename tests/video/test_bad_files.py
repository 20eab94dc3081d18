"""Each kind of bad file gives its own error in one plain sentence, in bounded time; damage can be salvaged and counted."""

import time

import numpy as np
import pytest
from video_files import HEIGHT, WIDTH, read_number, write_sound_only, write_video

from namm_xmodal import errors
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.frame_cache import FrameCache
from namm_xmodal.video.index import index_video
from namm_xmodal.video.killable import run_killable
from namm_xmodal.video.load import load_video
from namm_xmodal.video.prefetch import prefetch


def without_moov(path):
    write_video(path)
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    path.write_bytes(data[:at])


def html(path):
    path.write_text("<!DOCTYPE html><html><body>Sign in to continue</body></html>" * 20)


def unknown_codec(path):
    write_video(path)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9").replace(b"avcC", b"zzzC"))


def cut_in_half(path):
    write_video(path, frames=120, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flipped_bytes(path):
    write_video(path, frames=120, container_options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    start = data.index(b"mdat") + 3000
    for at in rng.integers(start, len(data), 60):
        data[at] ^= int(rng.integers(1, 256))
    path.write_bytes(data)


def promises_more(path):
    write_video(path, frames=60, container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - len(data) // 3])


BAD = {
    "missing": (lambda path: None, errors.MissingVideoError, "no such file"),
    "folder": (lambda path: path.mkdir(), errors.MissingVideoError, "is a folder"),
    "empty": (lambda path: path.write_bytes(b""), errors.EmptyVideoError, "empty"),
    "random bytes": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(5000)),
        errors.NotAVideoError,
        "is not a readable video",
    ),
    "web page": (html, errors.NotAVideoError, "is a web page"),
    "no moov": (without_moov, errors.NotAVideoError, r"index \(moov\) is missing"),
    "sound only": (write_sound_only, errors.NoVideoStreamError, "no video stream, only audio"),
    "unknown codec": (unknown_codec, errors.UnsupportedCodecError, "codec"),
    "cut in half": (cut_in_half, errors.TruncatedVideoError, r"\d+ of 120 declared frames exist"),
    "flipped bytes": (flipped_bytes, errors.CorruptVideoError, r"of 120 frames, \d+ do not decode and \d+ are flagged"),
    "promises more": (promises_more, errors.TruncatedVideoError, r"\d+ of 60 declared frames exist"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_sentence(tmp_path, name):
    make, kind, sentence = BAD[name]
    path = tmp_path / "bad.mp4"
    make(path)
    started = time.process_time()
    with pytest.raises(errors.VideoError, match=sentence) as caught:
        load_video(FrameRequest(path, 500))
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time.process_time() - started < 10


def test_what_decodes_of_a_cut_file_is_salvaged_exactly(tmp_path):
    path = tmp_path / "cut.mp4"
    cut_in_half(path)
    clip = load_video(FrameRequest(path, 500, salvage=True))
    count = len(clip.frames)
    assert 20 < count < 110
    numbers = [read_number(frame) for frame in clip.frames]
    assert numbers == [round(30 * seconds) for seconds in clip.times]
    assert numbers[: count - 2] == list(range(count - 2))  # B-frames before the last P-frame may lie behind the cut
    assert any("of 120 declared frames exist" in note for note in clip.notes)


def test_damaged_frames_are_flagged_and_the_rest_is_usable(tmp_path):
    path = tmp_path / "flipped.mp4"
    flipped_bytes(path)
    clip = load_video(FrameRequest(path, 500, salvage=True))
    assert len(clip.frames) > 20
    assert [note.split(":")[0] for note in clip.notes] == ["damaged"]


def test_one_frame_and_4k(tmp_path):
    one = write_video(tmp_path / "one.mp4", frames=1)
    assert load_video(FrameRequest(one, 8)).frames.shape == (1, HEIGHT, WIDTH, 3)
    large = write_video(tmp_path / "large.mp4", frames=2, size=(3840, 2160))
    clip = load_video(FrameRequest(large, 8))
    assert clip.frames.shape == (2, 720, 1280, 3)
    assert index_video(large).width == 3840


def sleeps(request):
    if "hangs" in request.path.name:
        time.sleep(600)
    return load_video(request)


def test_a_hanging_decoder_is_killed_and_the_others_come_through_in_order(tmp_path):
    good = [write_video(tmp_path / f"{number}.mp4", frames=5 + number) for number in range(3)]
    (tmp_path / "hangs.mp4").write_bytes(good[0].read_bytes())
    paths = [good[0], tmp_path / "hangs.mp4", good[1], tmp_path / "absent.mp4", good[2]]
    requests = [FrameRequest(path, 100) for path in paths]
    started = time.monotonic()
    found = list(prefetch(requests, workers=1, limit=4, load=sleeps))
    assert time.monotonic() - started < 300
    assert [len(clip.frames) for clip in found if not isinstance(clip, Exception)] == [5, 6, 7]
    assert type(found[1]) is errors.VideoTimeoutError
    assert "took longer than 4 s; its process was killed" in str(found[1])
    assert type(found[3]) is errors.MissingVideoError


def crashes(request):
    import os

    os._exit(11)


def test_a_decoder_that_crashes_costs_its_video_only(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=2)
    found = list(prefetch([FrameRequest(path, 1)] * 2, workers=1, limit=120, load=crashes))
    assert [type(each) for each in found] == [errors.CorruptVideoError] * 2
    assert "crashed (exit code 11)" in str(found[0])


def test_a_killable_call_ends_in_time():
    with pytest.raises(errors.VideoTimeoutError, match=r"x\.mp4: decoding took longer than 2 s"):
        run_killable(time.sleep, (600,), 2, "x.mp4")
    assert run_killable(divmod, (7, 2), 120, "x.mp4") == (3, 1)


def test_cached_frames_are_the_same_and_belong_to_one_version_of_the_file(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", frames=9)
    cache, request = FrameCache(tmp_path / "cache"), FrameRequest(path, 4)
    (fresh,) = prefetch([request], workers=0, cache=cache)
    (again,) = prefetch([request], workers=0, cache=cache, load=crashes)  # nothing is decoded
    assert np.array_equal(fresh.frames, again.frames)
    assert (fresh.times, fresh.duration, fresh.notes) == (again.times, again.duration, again.notes)
    assert cache.get(FrameRequest(path, 5)) is None
    write_video(path, frames=10)
    assert cache.get(request) is None
    held = next((tmp_path / "cache").glob("*.safetensors"))
    held.write_bytes(b"broken")
    assert cache.get(request) is None


def test_a_full_cache_drops_what_was_used_longest_ago(tmp_path):
    paths = [write_video(tmp_path / f"{number}.mp4", frames=3) for number in range(3)]
    cache = FrameCache(tmp_path / "cache", gigabytes=1.5 * 3 * WIDTH * HEIGHT * 3 / 2**30)
    list(prefetch([FrameRequest(path, 3) for path in paths], workers=0, cache=cache))
    assert cache.get(FrameRequest(paths[0], 3)) is None
    assert cache.get(FrameRequest(paths[2], 3)) is not None
