"""A stranger's file is read alone, within bounds: no other file, no address, no pipe, no memory beyond a limit."""

import json
import os
import socket
import time

import av
import pytest
from odd_videos import claims_samples, strip_gif
from video_files import python, read_number, write_video

from namm_xmodal import errors
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.index import index_video
from namm_xmodal.video.load import load_video
from namm_xmodal.video.memory import bounded_memory
from namm_xmodal.video.open import MAX_PIXELS
from namm_xmodal.video.picture import scaled_size

PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n",
    "list.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n",
    "list.ts": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n",
    "parts.txt": "ffconcat version 1.0\nfile other.ts\n",
    "parts.mp4": "ffconcat version 1.0\nfile '{other}'\n",
    "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "dash.mpd": '<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet mimeType="video/mp4"><Representation '
    'id="1"><BaseURL>{other}</BaseURL></Representation></AdaptationSet></Period></MPD>',
}


@pytest.fixture
def server():
    """Something that listens on this machine and sees whether anybody calls."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        yield listening


def called(server):
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("name", PLAYLISTS)
def test_a_playlist_opens_nothing(tmp_path, server, name):
    other = write_video(tmp_path / "other.ts", frames=3)
    address = f"http://127.0.0.1:{server.getsockname()[1]}/other.ts"
    (tmp_path / name).write_text(PLAYLISTS[name].format(other=other, address=address))
    with pytest.raises(errors.NotAVideoError, match=r"is a playlist|is a web page or XML"):
        load_video(FrameRequest(tmp_path / name, 2))
    assert not called(server)


def test_a_path_that_looks_like_an_address_is_a_path(tmp_path, server, monkeypatch):
    monkeypatch.chdir(tmp_path)
    host = tmp_path / "http:" / f"127.0.0.1:{server.getsockname()[1]}"
    host.mkdir(parents=True)
    write_video(host / "x.mp4", frames=3)
    for request in (FrameRequest(host.relative_to(tmp_path) / "x.mp4", 3), FrameRequest(host / "x.mp4", 3)):
        assert [read_number(frame) for frame in load_video(request).frames] == [0, 1, 2]
    assert not called(server)
    with pytest.raises(errors.MissingVideoError, match="no such file"):
        load_video(FrameRequest(host.relative_to(tmp_path) / "absent.mp4", 3))
    assert not called(server)


@pytest.mark.parametrize(
    "name", ["a:b.mp4", "concat:a.mp4", "pipe:0", "100%.mp4", "frame%03d.mp4", "-i.mp4", "ü *?.mp4"]
)
def test_names_have_no_meaning(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.mp4", frames=3).rename(name)
    assert len(load_video(FrameRequest(tmp_path.relative_to(tmp_path) / name, 3)).frames) == 3


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    started = time.monotonic()
    for name in ("pipe.mp4", "zero.mp4"):
        with pytest.raises(errors.MissingVideoError, match=r"it is a named pipe|it is a device"):
            load_video(FrameRequest(tmp_path / name, 1))
    with pytest.raises(errors.MissingVideoError):
        load_video(FrameRequest(tmp_path / "a\0b.mp4", 1))
    assert time.monotonic() - started < 5


def test_titles_in_any_encoding_do_not_matter(tmp_path):
    path = write_video(tmp_path / "a.mkv", frames=3)
    with av.open(str(path)) as given, av.open(str(tmp_path / "b.mkv"), "w") as made:
        made.metadata["title"] = "title-of-the-film"
        copy = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size:
                packet.stream = copy
                made.mux(packet)
    path.write_bytes((tmp_path / "b.mkv").read_bytes().replace(b"title-of-the-film", b"t\xfftle-of-the-f\xe9lm"))
    assert len(load_video(FrameRequest(path, 3)).frames) == 3


GROWTH = """
import json, resource, sys, time
from pathlib import Path
import av, numpy
from namm_xmodal.errors import VideoError
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.load import load_video
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
before, started = peak(), time.monotonic()
try:
    clip = load_video(FrameRequest(Path(sys.argv[1]), 32))
    said = f"{clip.frames.shape}"
except VideoError as error:
    said = f"{type(error).__name__}: {error}"
print(json.dumps([said, peak() - before, time.monotonic() - started]))
"""

BOMBS = {
    "60,000 x 700 of GIF": (lambda path: strip_gif(path, 60_000, 700, 2000), ".gif", "nothing decodes"),
    "700 x 60,000 of GIF": (lambda path: strip_gif(path, 700, 60_000, 2000), ".gif", "nothing decodes"),
    "a strip of GIF": (lambda path: strip_gif(path, 60_000, 100, 200), ".gif", "(32, 5, 2880, 3)"),
    "eighty million frames": (lambda path: claims_samples(path, 80_000_000), ".mp4", "OversizedVideoError"),
    "ten million frames": (lambda path: claims_samples(path, 10_000_000), ".mp4", "Error"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_gigabyte_and_no_time(tmp_path, name):
    make, suffix, sentence = BOMBS[name]
    path = make(tmp_path / f"bomb{suffix}")
    assert path.stat().st_size < 100_000
    answer = python(GROWTH, str(path))
    said, mebibytes, seconds = json.loads(answer.stdout)
    assert sentence in said and "\n" not in said
    assert mebibytes < 1024
    assert seconds < 10


def test_pictures_beyond_the_bound_are_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=1, size=(4096, 2320))
    with pytest.raises(errors.OversizedVideoError, match=f"pictures of 4096 x 2320; at most {MAX_PIXELS:,} pixels"):
        index_video(path)
    assert index_video(write_video(tmp_path / "b.mp4", frames=1, size=(4096, 2304))).width == 4096


def test_memory_beyond_the_bound_is_one_sentence(tmp_path):
    with (
        pytest.raises(errors.OversizedVideoError, match="takes more than 64 MiB"),
        bounded_memory(tmp_path, 64 * 2**20),
    ):
        bytearray(8 * 2**30)  # far more than other tests' threads may give back meanwhile
    assert len(bytearray(256 * 2**20)) == 256 * 2**20  # the bound ends with the block


def test_both_sides_of_a_picture_are_bounded():
    assert scaled_size(1280, 720, 720) == (1280, 720)
    assert scaled_size(3840, 2160, 720) == (1280, 720)
    assert scaled_size(60_000, 100, 720) == (2880, 5)
    assert scaled_size(3, 60_000, 720) == (1, 2880)
