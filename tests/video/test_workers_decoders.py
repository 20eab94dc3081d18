"""Decoder processes that are killed or stopped through no fault of a file cost none of its frames."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from video_files import write_video
from worker_toys import half_a_message, meet

from namm_xmodal.errors import VideoTimeoutError
from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.load import load_video
from namm_xmodal.video.prefetch import prefetch


def dies(request):
    meet("die", f"{request.path}.met")
    return load_video(request)


def stops(request):
    meet("stop", f"{request.path}.met")
    return load_video(request)


def dies_sending(request):
    half_a_message("die", f"{request.path}.met")
    return load_video(request)


def stops_sending(request):
    half_a_message("stop", f"{request.path}.met")
    return load_video(request)


def hangs_sending(request):
    half_a_message("stop", "")
    return load_video(request)


@pytest.fixture(scope="module")
def requests(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return [FrameRequest(write_video(folder / f"{number}.mp4", frames=4 + number), 100) for number in range(3)]


def same(found, requests):
    assert [len(clip.frames) for clip in found] == [4, 5, 6]
    for clip, request in zip(found, requests, strict=True):
        assert np.array_equal(clip.frames, load_video(request).frames)


@pytest.mark.parametrize("load", [dies, stops, dies_sending, stops_sending])
def test_each_video_comes_through(requests, load):
    for request in requests:
        for leftover in request.path.parent.glob("*met*"):
            leftover.unlink()
    same(list(prefetch(requests, workers=2, limit=3, load=load)), requests)
    assert len(list(requests[0].path.parent.glob("*.met"))) == 3
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_lost_while_it_waits_is_replaced(requests, how):
    clips = prefetch(requests, workers=1, limit=3, ahead=1)
    found = [next(clips)]
    time.sleep(0.3)  # with one ahead, it waits
    (decoder,) = multiprocessing.active_children()
    os.kill(decoder.pid, how)
    same([*found, *clips], requests)


def test_a_decoder_that_always_hangs_while_it_sends_is_a_video_that_took_too_long(requests):
    (found,) = prefetch(requests[:1], workers=1, limit=1, load=hangs_sending)
    assert type(found) is VideoTimeoutError
    assert str(found) == f"{requests[0].path}: decoding took longer than 1 s; its process was killed"


def test_decord_works_in_a_decoder_process(requests):
    pytest.importorskip("decord")
    chosen = [FrameRequest(request.path, 100, backend="decord") for request in requests]
    assert [len(clip.frames) for clip in prefetch(chosen, workers=1)] == [4, 5, 6]
