"""Video files made on the spot, every frame with its own number drawn into its pixels."""

import subprocess
import sys
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, BITS = 96, 64, 12


def numbered(number, width=WIDTH, height=HEIGHT):
    """A picture whose upper rows show the number as 12 black and white squares; the rest tells up from down."""
    picture, cell = np.full((height, width, 3), 60, np.uint8), width // BITS
    for bit in range(BITS):
        picture[: 2 * cell, bit * cell : (bit + 1) * cell] = 235 if number >> bit & 1 else 16
    picture[-cell:, : width // 2] = (200, 40, 40)
    return picture


def read_number(picture):
    """The number drawn into a decoded picture of any size."""
    cell = picture.shape[1] / BITS
    return sum(int(picture[int(cell), int((bit + 0.5) * cell)].mean() > 125) << bit for bit in range(BITS))


def write_video(
    path,
    frames=60,
    codec="libx264",
    rate=30,
    gop=20,
    b_frames=2,
    times=None,
    start=0.0,
    options=None,
    size=(WIDTH, HEIGHT),
    audio=False,
    container_options=None,
):
    """Writes `frames` numbered frames.

    Args:
        path: Its suffix decides the container.
        frames: How many.
        codec: Encoder.
        rate: Frames per second at a constant rate.
        gop: Frames between keyframes.
        b_frames: B-frames between others.
        times: Seconds of each frame, for variable rates.
        start: Seconds before the first frame.
        options: Of the encoder.
        size: Width and height.
        audio: Whether to add a sound stream.
        container_options: Of the container.
    """
    base = Fraction(1, rate) if path.suffix == ".avi" else Fraction(1, 60_000)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        stream.gop_size = gop
        stream.max_b_frames = b_frames
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "crf": "18", "bf": str(b_frames), "sc_threshold": "0"} | (
                options or {}
            )
        sound = _sound(container) if audio else None
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered(number, *size), format="rgb24")
            seconds = start + (number / rate if times is None else times[number])
            frame.pts, frame.time_base = round(seconds / base), base
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
        if sound is not None:
            _write_sound(container, sound)
    return path


def write_sound_only(path):
    with av.open(str(path), "w") as container:
        _write_sound(container, _sound(container))
    return path


def _sound(container):
    return container.add_stream("aac", rate=8000, layout="mono")


def _write_sound(container, stream):
    for number in range(8):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, number * 1024
        for packet in stream.encode(frame):
            container.mux(packet)
    for packet in stream.encode():
        container.mux(packet)


def rotate(path):
    """Patches the display matrix in an MP4's track header to a quarter turn clockwise."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    version = data[at]
    matrix = at + 4 + (32 if version else 20) + 16
    one = 0x10000
    values = [0, one, 0, -one, 0, 0, 0, 0, 0x40000000]
    for place, value in enumerate(values):
        data[matrix + 4 * place : matrix + 4 * place + 4] = (value & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def python(code, *arguments):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
