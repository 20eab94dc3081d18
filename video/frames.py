"""The frames of a stream as ffmpeg plays them, from where its container stands."""

from collections.abc import Iterator
from typing import Any

from namm_xmodal.video.open import av


class FrameReader:
    """Iterates over decoded frames in the order they are shown; packets that do not decode are passed over.

    Attributes:
        packets: Whole packets read.
        errors: Packets that did not decode, from the first frame on: a stream may begin with packets whose keyframe lies
            before its start.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self.packets = 0
        self.errors = 0

    def __iter__(self) -> Iterator[Any]:
        begun = False
        for packet in self._demux():
            try:
                frames = packet.decode() if packet is not None else self._stream.codec_context.decode(None)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self.errors += begun
                continue
            begun = begun or bool(frames)
            yield from frames

    def _demux(self) -> Iterator[Any]:
        """Packets, then None: what the decoder holds back comes out, also where a cut file ends within a packet."""
        read, blocked = 0, -1
        while blocked < read:  # a reader of MPEG-TS may ask to be called again; once more without a packet is the end
            blocked = read
            try:
                for packet in self._container.demux(self._stream):
                    read += 1
                    if packet.size:  # an empty one would end the decoding
                        self.packets += not packet.is_corrupt
                        yield packet
                break
            except av.error.BlockingIOError:
                continue
            except (av.error.FFmpegError, IndexError):  # an index error at the end, if streams appeared in between
                break
        yield None
