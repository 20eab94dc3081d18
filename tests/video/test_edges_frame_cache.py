"""The cache of frames makes room among its own files, never among a user's."""

from pathlib import Path

from video_files import write_video

from namm_xmodal.video.clip import FrameRequest
from namm_xmodal.video.frame_cache import FrameCache
from namm_xmodal.video.load import load_video


def test_a_full_cache_leaves_a_model_beside_it_alone(tmp_path: Path):
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("model.safetensors", "0123456789abcdef.safetensors"):
        (folder / name).write_bytes(bytes(4096))
    cache = FrameCache(folder, gigabytes=1e-6)
    for frames in (2, 3, 4):
        request = FrameRequest(write_video(tmp_path / "a.mp4", frames=8), frames)
        cache.put(request, load_video(request))
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "0123456789abcdef.safetensors"} < names
    assert len(names) == 3  # and the newest frames
