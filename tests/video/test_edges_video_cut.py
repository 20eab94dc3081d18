"""Files that were cut are called cut, whole ones are not, and what is said is true of the file."""

import pytest
from odd_videos import encode, full_decode, joined
from video_files import read_number, write_video

from namm_xmodal import errors
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.decode import decode_frames
from namm_xmodal.video.frame_cache import FrameCache
from namm_xmodal.video.index import index_video
from namm_xmodal.video.load import load_video


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


CUT = {
    "mkv": ("a.mkv", {}),
    "mkv with sound": ("a.mkv", {"audio": True}),
    "webm": ("a.webm", {"codec": "libvpx-vp9", "b_frames": 0}),
    "avi": ("a.avi", {"codec": "mpeg4", "b_frames": 0}),
    "avi with sound": ("a.avi", {"codec": "mpeg4", "b_frames": 0, "audio": True}),
    "fragments": ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
}


@pytest.mark.parametrize("name", CUT)
def test_a_cut_container_says_so_and_gives_what_there_is(tmp_path, name):
    file, options = CUT[name]
    path = cut(write_video(tmp_path / file, frames=240, **options), 0.6)
    with pytest.raises(errors.TruncatedVideoError, match=r"[\d,]+ of [\d,]+ declared (frames|bytes) exist"):
        load_video(FrameRequest(path, 300))
    clip = load_video(FrameRequest(path, 300, salvage=True))
    assert clip.notes[0].startswith("truncated: ")
    whole = [read_number(frame) for frame in clip.frames][:-4]  # the last may be damaged
    assert whole == list(range(len(whole))) and len(whole) > 10


def test_a_cut_raw_stream_is_damaged_and_of_a_known_codec(tmp_path):
    path = cut(encode(tmp_path / "a.h264"), 0.41)
    clip = load_video(FrameRequest(path, 100, salvage=True))
    assert 10 < len(clip.frames) == len(full_decode_of_cut(path))
    for share in (0.02, 0.05, 0.1, 0.2):
        with pytest.raises(errors.VideoError) as caught:
            load_video(FrameRequest(cut(encode(tmp_path / "b.h264"), share), 100))
        assert "codec" not in str(caught.value)


def full_decode_of_cut(path):
    """As `full_decode`, where the last packet may not decode."""
    import av

    numbers = []
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            try:
                numbers += [read_number(frame.to_ndarray(format="rgb24")) for frame in packet.decode()]
            except av.error.InvalidDataError:
                continue
    return numbers


def test_a_header_that_ends_before_the_codec_is_cut_and_no_unknown_codec(tmp_path):
    path = write_video(tmp_path / "a.mp4", container_options={"movflags": "frag_keyframe+empty_moov"})
    data = path.read_bytes()
    for size in (data.index(b"tkhd") + 120, data.index(b"stsd") - 20):
        path.write_bytes(data[:size])
        with pytest.raises(errors.VideoError) as caught:
            index_video(path)
        assert not isinstance(caught.value, errors.UnsupportedCodecError)


def test_streams_that_appear_in_between_end_nothing(tmp_path):
    silent, loud = (
        write_video(tmp_path / f"{audio}.ts", frames=30, audio=audio, start=float(audio)) for audio in (False, True)
    )
    clip = load_video(FrameRequest(joined(tmp_path / "both.ts", silent, loud), 100))
    assert [read_number(frame) for frame in clip.frames] == 2 * list(range(30))


def test_packets_that_are_no_frames_are_found_out_while_decoding(tmp_path):
    """An index made of packets is checked against what comes out; here it claims a frame too many."""
    path = write_video(tmp_path / "a.mp4")
    index = index_video(path)
    wrong = index.__class__(**{**vars(index), "pts": (*index.pts[:10], index.pts[10] - 7, *index.pts[10:])})
    assert sorted(decode_frames(wrong, [3, 5]).frames) == [3, 5]
    with pytest.raises(errors.VideoError, match="decoded frames do not match its packets"):
        decode_frames(wrong, [3, 12])
    assert full_decode(path)[1] == list(range(60))


def test_frames_cached_by_an_earlier_reader_are_not_used(tmp_path, monkeypatch):
    path, request_of = write_video(tmp_path / "a.mp4", frames=3), lambda: FrameRequest(tmp_path / "a.mp4", 3)
    cache = FrameCache(tmp_path / "cache")
    cache.put(request_of(), load_video(request_of()))
    assert cache.get(request_of()) is not None and path.exists()
    monkeypatch.setattr("namm_xmodal.video.frame_cache._READER", 1)
    assert cache.get(request_of()) is None
