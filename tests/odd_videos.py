"""Unusual videos, by PyAV alone, every frame with its number in it; and what a full decode sees."""

import struct
from pathlib import Path

import av
import numpy as np
from video_files import numbered, read_number, write_video

_GENPTS = 1
_DISPLAY_MATRIX_ONE = 0x10000
_X264 = {"bf": "2", "preset": "ultrafast", "sc_threshold": "0", "crf": "18"}


def full_decode(path):
    """All frames that ffmpeg plays, one after the other: time stamps in seconds (or None) and numbers."""
    with av.open(str(path)) as container:
        container.flags &= ~_GENPTS
        stream = container.streams.video[0]
        frames = [frame for packet in container.demux(stream) for frame in packet.decode()]
        stamps = [None if frame.pts is None else float(frame.pts * stream.time_base) for frame in frames]
        return stamps, [read_number(frame.to_ndarray(format="rgb24")) for frame in frames]


def encode(path, frames=60, codec="libx264", rate=30, gop=20, pixels="yuv420p", options=None, size=(96, 64)):
    """`write_video` with the encoder counting in frames, which raw streams and AVI need."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, pixels, gop
        stream.options = dict(_X264 if codec == "libx264" else {}) | (options or {})
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def remux(source, path, change=lambda number, packet: True):
    """Copies packets; `change` may alter each, and drops it by returning False."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream = given.streams.video[0]
        copy = made.add_stream_from_template(stream)
        for number, packet in enumerate(each for each in given.demux(stream) if each.size):
            if change(number, packet):
                packet.stream = copy
                made.mux(packet)
    return path


def later(seconds):
    """For `remux`: everything that much later, so that what comes before 0 is hidden by an edit list in MP4."""

    def change(number, packet):
        ticks = round(seconds / packet.time_base)
        packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return True

    return change


def from_packet(first):
    """For `remux`: packets from this one on, so that the stream begins inside a group of pictures."""
    return lambda number, packet: number >= first


def without(*dropped):
    return lambda number, packet: number not in dropped


def twice(number_of_second):
    """For `remux`: a packet that carries the stamp of the one before it."""
    before = []

    def change(number, packet):
        if number == number_of_second:
            packet.pts, packet.dts = before[-1]
        before.append((packet.pts, packet.dts))
        return True

    return change


def joined(path, *parts):
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def two_streams(path, sizes, default):
    """A Matroska file with two videos of other lengths; which of them is the default one."""
    with av.open(str(path), "w") as container:
        streams = []
        for place, size in enumerate(sizes):
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.disposition = av.stream.Disposition.default if place == default else av.stream.Disposition(0)
            streams.append(stream)
        for place, stream in enumerate(streams):
            for number in range(10 + 5 * place):
                frame = av.VideoFrame.from_ndarray(numbered(number, stream.width, stream.height), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def with_matrix(path, a, b, c, d):
    """Patches the display matrix of an MP4: (x, y) is shown at (a x + c y, b x + d y)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    at += 4 + (32 if data[at] else 20) + 16
    one = _DISPLAY_MATRIX_ONE
    data[at : at + 36] = struct.pack(">9i", *(round(each * one) for each in (a, b, 0, c, d, 0, 0, 0)), 0x40000000)
    path.write_bytes(data)
    return path


def with_edits(path, *edits):
    """Gives an MP4 of `write_video` an edit list of (milliseconds shown, start in seconds; None is an empty edit)."""
    data = path.read_bytes()
    moov, moov_size = _box(data, 0, len(data), b"moov")
    trak, trak_size = _box(data, moov + 8, moov + moov_size, b"trak")
    head, head_size = _box(data, trak + 8, trak + trak_size, b"tkhd")
    old, old_size = _box(data, trak + 8, trak + trak_size, b"edts") or (head + head_size, 0)
    starts = [-1 if start is None else round(start * 60_000) for _, start in edits]
    rows = b"".join(
        struct.pack(">IiI", length, start, 0x10000) for (length, _), start in zip(edits, starts, strict=True)
    )
    new = struct.pack(">I4sI4sII", 24 + len(rows), b"edts", 16 + len(rows), b"elst", 0, len(edits)) + rows
    changed = bytearray(data[:old] + new + data[old + old_size :])
    for at, size in ((moov, moov_size), (trak, trak_size)):
        changed[at : at + 4] = struct.pack(">I", size + len(new) - old_size)
    path.write_bytes(changed)
    return path


def _box(data, at, end, kind):
    while at + 8 <= end:
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            return at, size
        at += size
    return None


def strip_gif(path, width, height, frames):
    """A GIF with a canvas of any size in some bytes a frame."""
    place = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0)
    frame = b"\x21\xf9\x04\x00\x05\x00\x00\x00" + place + b"\x02\x02\x4c\x01\x00"
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    path.write_bytes(head + frame * frames + b"\x3b")
    return path


def claims_samples(path, count):
    """A fragmented MP4 of under a kilobyte whose one fragment claims `count` frames."""
    with av.open(str(path), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    data = path.read_bytes()
    start = data.index(b"moof") - 4
    header = struct.pack(">I4sII", 16, b"tfhd", 0x20000, 1) + struct.pack(">I4sII", 16, b"tfdt", 0, 0)
    run = struct.pack(">I4sII", 16, b"trun", 0, count)
    traf = struct.pack(">I4s", 8 + len(header + run), b"traf") + header + run
    inner = struct.pack(">I4sII", 16, b"mfhd", 0, 1) + traf
    path.write_bytes(data[:start] + struct.pack(">I4s", 8 + len(inner), b"moof") + inner + bytes(64))
    return path


ODD = {
    "trimmed": lambda at: remux(write_video(at / "long.mp4", frames=90), at / "odd.mp4", later(-1.1)),
    "trimmed, QuickTime": lambda at: remux(write_video(at / "long.mp4", frames=90), at / "odd.mov", later(-1.1)),
    "trimmed at its end": lambda at: with_edits(write_video(at / "odd.mp4", frames=90), (1000, 0)),
    "two edits": lambda at: with_edits(write_video(at / "odd.mp4", frames=120), (700, 0), (1000, 2.5)),
    "an edit twice": lambda at: with_edits(write_video(at / "odd.mp4", b_frames=0), (500, 0.5), (500, 0.5)),
    "edits out of order": lambda at: with_edits(write_video(at / "odd.mp4", frames=90), (500, 2), (500, 0.3)),
    "an empty edit first": lambda at: with_edits(write_video(at / "odd.mp4"), (400, None), (1000, 0.5)),
    "fragments": lambda at: write_video(at / "odd.mp4", container_options={"movflags": "frag_keyframe+empty_moov"}),
    "starts inside a group, mkv": lambda at: remux(write_video(at / "a.mkv"), at / "odd.mkv", from_packet(7)),
    "starts inside a group, mp4": lambda at: remux(write_video(at / "a.mp4"), at / "odd.mp4", from_packet(7)),
    "starts inside a group, ts": lambda at: remux(write_video(at / "a.ts"), at / "odd.ts", from_packet(7)),
    "starts inside a group, mpeg4": lambda at: remux(
        encode(at / "a.mp4", codec="mpeg4", options={"bf": "2"}), at / "odd.mp4", from_packet(7)
    ),
    "starts at an open group": lambda at: remux(
        write_video(
            at / "a.mkv", frames=90, gop=30, options={"x264-params": "open-gop=1:bframes=3:keyint=30:min-keyint=30"}
        ),
        at / "odd.mkv",
        from_packet(31),
    ),
    "two frames with one stamp": lambda at: remux(write_video(at / "a.mp4", b_frames=0), at / "odd.mkv", twice(30)),
    "AVI with B-frames, h264": lambda at: encode(at / "odd.avi"),
    "AVI with B-frames, mpeg4": lambda at: encode(at / "odd.avi", codec="mpeg4", options={"bf": "2"}),
    "AVI with dropped frames": lambda at: remux(
        encode(at / "a.mp4", codec="mpeg4", gop=1), at / "odd.avi", without(*range(40, 50), 55)
    ),
    "raw h264": lambda at: encode(at / "odd.h264"),
    "raw hevc": lambda at: encode(at / "odd.hevc", codec="libx265", options={"x265-params": "log-level=none"}),
    "raw mpeg2": lambda at: encode(at / "odd.m2v", codec="mpeg2video", options={"bf": "2"}),
    "raw h264, cut at its start": lambda at: joined(at / "odd.h264", _tail(encode(at / "a.h264"), 1500)),
    "MPEG-PS": lambda at: encode(at / "odd.mpg", codec="mpeg2video", options={"bf": "2"}),
    "flv": lambda at: encode(at / "odd.flv"),
    "gif": lambda at: encode(at / "odd.gif", codec="gif", pixels="rgb8"),
    "ffv1": lambda at: encode(at / "odd.mkv", codec="ffv1"),
    "vp8 with hidden frames": lambda at: encode(
        at / "odd.webm", codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "16", "b": "200k"}
    ),
    "hevc, 10 bits, open groups": lambda at: encode(
        at / "odd.mp4",
        codec="libx265",
        pixels="yuv420p10le",
        options={"x265-params": "log-level=none:open-gop=1:keyint=20"},
    ),
    "hevc, temporal layers": lambda at: encode(
        at / "odd.mp4", codec="libx265", options={"x265-params": "log-level=none:temporal-layers=3:bframes=3"}
    ),
    "intra refresh": lambda at: encode(at / "odd.mp4", options={"x264-params": "intra-refresh=1:bframes=0:keyint=20"}),
    "sound is longer": lambda at: write_video(at / "odd.mkv", frames=12, audio=True),
    "sound is longer, ts": lambda at: write_video(at / "odd.ts", frames=12, audio=True),
}


def _tail(path, start):
    path.write_bytes(path.read_bytes()[start:])
    return path


def make(name, folder) -> Path:
    """The file of a name of `ODD`."""
    made: Path = ODD[name](folder)
    return made
