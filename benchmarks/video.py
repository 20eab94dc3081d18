"""Video: our loader against decord, and scoring under ten policies against the vision encoder and ten pruned prefills.

    python benchmarks/video.py                  # both, some minutes
    python benchmarks/video.py --only loader

Loader: files made on the spot (320 x 240), 8 and 32 evenly spread frames, CPU seconds of this process with one decoder
thread, both decoders in turn, `--repeats` times; medians are divided. Ours includes the index pass over all packets.
Scoring: one question, and all eight about one video, of the shipped small model at 32 frames under ten policies; everything
that `video-qa` does for them after decoding, divided by one pass of the vision tower plus one pruned prefill per policy and
question. Eight cost less than that, for what they have in common is read once.
Writes `benchmarks/results/video.json`.
"""

import argparse
import json
import statistics
import tempfile
from fractions import Fraction
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import av
import numpy as np
import torch
from machine import describe_machine
from rich.console import Console
from rich.progress import track
from rich.table import Table

from namm_xmodal.evaluation.modality import Work
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.modalities.video.arms import with_room
from namm_xmodal.modalities.video.modality import Video
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.modalities.video.session import VideoSession
from namm_xmodal.modalities.video.source import videos
from namm_xmodal.video.decode import decode_frames
from namm_xmodal.video.index import index_video
from namm_xmodal.video.samplers import choose_frames
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video
from namm_xmodal.video.visual_tokens import all_tokens

RESULTS = Path(__file__).parent / "results"
FILES: dict[str, dict[str, Any]] = {
    "h264, 300 frames, keyframe every 60": {"frames": 300, "gop": 60},
    "h264, 1800 frames, keyframe every 250": {"frames": 1800, "gop": 250},
    "h264, variable rate": {"frames": 300, "gop": 60, "variable": True},
    "vp9, 300 frames": {"frames": 300, "gop": 60, "codec": "libvpx-vp9", "suffix": ".webm"},
}
TEN = ("recency", "streaming_llm", "random", "l2_norm", "keydiff", "h2o", "h2o_normalised", "tova", "snapkv", "namm")
QUESTIONS = (1, 8)


def write(path: Path, frames: int, gop: int, codec: str = "libx264", variable: bool = False, **_: Any) -> Path:
    """A moving gradient with noise."""
    rng = np.random.default_rng(0)
    base = Fraction(1, 60_000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.time_base = stream.codec_context.time_base = base
        stream.gop_size = gop
        stream.options = {"preset": "veryfast"} if codec == "libx264" else {"deadline": "realtime", "cpu-used": "8"}
        now = 0.0
        ramp = np.add.outer(np.arange(240), np.arange(320))[..., None] * np.array([1, 2, 3])
        for number in range(frames):
            picture = (ramp + 3 * number + rng.integers(0, 12, (240, 320, 1))) % 256
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(now / base), base
            now += float(rng.choice([1 / 60, 1 / 30, 1 / 5])) if variable else 1 / 30
            for packet in stream.encode(frame):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def loader(repeats: int) -> list[dict[str, Any]]:
    """CPU seconds of both decoders."""
    try:
        import decord
    except ImportError:
        decord = None
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, options in track(FILES.items(), description="loader"):
            path = write(Path(folder) / f"file{options.get('suffix', '.mp4')}", **options)
            for wanted in (8, 32):
                chosen = choose_frames(index_video(path), "linspace", wanted, "index")
                times: dict[str, list[float]] = {"ours": [], "decord": []}
                for _ in range(repeats):
                    began = process_time()
                    decode_frames(index_video(path), chosen)
                    times["ours"].append(process_time() - began)
                    if decord is not None:
                        began = process_time()
                        decord.VideoReader(str(path), num_threads=1).get_batch(chosen).asnumpy()
                        times["decord"].append(process_time() - began)
                ours, theirs = (statistics.median(each) if each else None for each in times.values())
                ratio = None if theirs is None or ours is None else ours / theirs
                found.append({"file": name, "frames": wanted, "ours": ours, "decord": theirs, "ratio": ratio})
    return found


def scoring(model: str, repeats: int, questions: int) -> dict[str, Any]:
    """Some questions about one video under ten policies, and the parts of that if each were read alone."""
    policies: dict[str, dict[str, Any]] = {name: {"policy": name} for name in TEN if name not in ("namm", "snapkv")}
    policies["snapkv"] = {"policy": "snapkv", "window": 4, "kernel": 1}
    policies["namm"] = {"policy": "namm", "init": "random", "threshold": float("-inf"), "budget": [0.25]}
    section = VideoSection(model=model, options={"n": questions, "frames": 32}, policies=policies, budgets=(0.25,))
    items, arms = tuple(Video().items(section)), tuple(Video().arms(section))
    work = Work(items, (arms,) * len(items))
    session = VideoSession(section)
    (clip,) = videos(section, [items[0].content])
    assert not isinstance(clip, Exception)
    whole, vision, prefills = [], [], []
    for turn in track(range(repeats + 1), description="scoring"):
        began = process_time()
        outcomes = list(session._about(clip, work))
        total = process_time() - began
        began = process_time()
        video = encode_video(session.loaded, clip.frames)
        tower = process_time() - began
        prompts = [
            embed_prompt(session.loaded, session.benchmark.prompt(item.content, clip.times), all_tokens(video))
            for item in items
        ]
        began = process_time()
        for arm, prompt in product(arms, prompts):
            policy = with_room(session.policy(arm), session.room(arm, prompt), prompt.visual)
            with torch.no_grad(), pruned_for(section, session.loaded.model, policy, arm.schedule) as m:
                inputs = {"inputs_embeds": prompt.embeddings, "position_ids": prompt.position_ids, "logits_to_keep": 1}
                m.adapter.forward(m.model, inputs, m.cache())
        prefill = process_time() - began
        assert len(outcomes) == len(arms) * len(items) == 10 * questions
        if turn:  # the first turn warms up
            whole.append(total)
            vision.append(tower)
            prefills.append(prefill)
    parts = statistics.median(vision) + statistics.median(prefills)
    return {
        "policies": [arm.label for arm in arms],
        "frames": 32,
        "questions": questions,
        "whole": statistics.median(whole),
        "vision": statistics.median(vision),
        "prefills": statistics.median(prefills),
        "ratio": statistics.median(whole) / parts,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--model", default="llava-small")
    parser.add_argument("--only", choices=("loader", "scoring"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    stored = RESULTS / "video.json"
    earlier = json.loads(stored.read_text()) if options.only and stored.is_file() else {}
    parts = [options.only] if options.only else ["loader", "scoring"]
    repeats = {**earlier.get("repeats", {}), **dict.fromkeys(parts, options.repeats)}
    result: dict[str, Any] = {**earlier, "machine": describe_machine(), "repeats": repeats}
    console = Console()
    if options.only != "scoring":
        result["loader"] = loader(options.repeats)
        table = Table("file", "frames", "ours, CPU s", "decord, CPU s", "ratio")
        for row in result["loader"]:
            numbers = ["-" if row[key] is None else f"{row[key]:.3f}" for key in ("ours", "decord", "ratio")]
            table.add_row(row["file"], str(row["frames"]), *numbers)
        console.print(table)
    if options.only != "loader":
        result["scoring"] = [scoring(options.model, options.repeats, questions) for questions in QUESTIONS]
        for found in result["scoring"]:
            console.print(
                f"ten policies, questions about one video: {found['questions']}: {found['whole']:.3f} CPU s; vision "
                f"{found['vision']:.3f} + pruned prefills {found['prefills']:.3f}; ratio {found['ratio']:.2f}"
            )
    RESULTS.mkdir(exist_ok=True)
    stored.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
