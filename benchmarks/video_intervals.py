"""Update intervals and feature statistics of a NAMM on video: accuracy, and what it keeps of what must be seen.

    python benchmarks/video_intervals.py                 # llava-small, 300 questions of 16 frames, a few minutes

A quarter of the visual tokens may remain. For each interval (144 tokens: one update, when the video has been read) and
each kind of statistics: accuracy on the same questions; the share of tokens of evidence frames that is still held when
the answer is due (only where evidence is at most half of the frames); and the share of kept tokens that show the first
and the last five frames. For each interval also how far features on this model lie from the frozen statistics: mean over
channels of the difference of means in frozen deviations, and the geometric mean of the ratio of deviations. Bootstrap
over questions.
Writes `benchmarks/results/video_intervals.json`.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from rich.progress import track

from namm_xmodal import pruned
from namm_xmodal.config.policies import build_policy
from namm_xmodal.evaluation.arm import Arm, Fit
from namm_xmodal.evaluation.fit import fitted
from namm_xmodal.modalities.video.arms import build_benchmark, cache_room
from namm_xmodal.modalities.video.fit import PlainPrompts
from namm_xmodal.modalities.video.inspection import kept_cells
from namm_xmodal.modalities.video.modality import Video
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.modalities.video.source import videos
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video
from namm_xmodal.video.visual_tokens import all_tokens

RESULTS = Path(__file__).parent / "results"
INTERVALS = (16, 32, 64, 144)
SHARE, FRAMES = 0.25, 16
PROTECT_FIRST, PROTECT_RECENT = 1, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="llava-small")
    parser.add_argument("--policy", default="namm-smollm2")
    parser.add_argument("-n", type=int, default=300, help="questions")
    options = parser.parse_args()
    torch.set_num_threads(1)
    section = VideoSection(
        model=options.model, options={"n": options.n, "frames": FRAMES}, policies={"full": {"policy": "full"}}
    )
    loaded, benchmark = load_video_model(options.model), build_benchmark(section)
    policy = build_policy({"policy": "namm", "path": options.policy, "threshold": -float("inf")}, "policy")
    arms: dict[str, tuple[int, Any]] = {}
    for every in INTERVALS:
        arms[f"{every} frozen"] = (every, policy)
        clock = section.model_copy(update={"update_every": every})
        plain, arm = PlainPrompts(loaded, benchmark, clock), Arm("namm", policy, fit=Fit("estimated"))
        arms[f"{every} estimated"] = (every, fitted(arm, loaded.model, plain, clock))
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    groups: dict[str, list[Any]] = defaultdict(list)
    for item in Video().items(section):
        groups[item.group].append(item.content)
    clips = videos(section, [group[0] for group in groups.values()])
    for group, clip in track(zip(groups.values(), clips, strict=True), total=len(groups)):
        visual = all_tokens(encode_video(loaded, clip.frames))
        for question in group:
            prompt = embed_prompt(loaded, benchmark.prompt(question, clip.times), visual)
            for label, (every, used) in {"full": (16, None), **arms}.items():
                found[label].append(one(loaded, prompt, question, every, used))
    report = {
        "machine": describe_machine(),
        "model": loaded.source,
        "policy": options.policy,
        "questions": len(found["full"]),
        "frames": FRAMES,
        "share": SHARE,
        "drift": {
            str(every): drift(policy.statistics, arms[f"{every} estimated"][1].statistics) for every in INTERVALS
        },
        "rows": {label: summary(rows, found["full"]) for label, rows in found.items()},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "video_intervals.json").write_text(json.dumps(report, indent=1) + "\n")
    print(report["drift"])
    for label, row in report["rows"].items():
        print(label, row)


def drift(frozen: Any, estimated: Any) -> dict[str, float]:
    """How far features on this model lie from what was frozen."""
    shift = ((estimated.mean - frozen.mean) / frozen.std).abs().mean()
    ratio = (estimated.std / frozen.std).clamp(min=1e-6).log().mean().exp()
    return {"shift_of_means": round(float(shift), 3), "ratio_of_deviations": round(float(ratio), 3)}


def one(loaded: Any, prompt: Any, question: Any, every: int, policy: Any) -> dict[str, float]:
    """A question under a policy."""
    text = int((~prompt.visual).sum())
    if policy is not None:
        room = cache_room(
            SHARE,
            full=prompt.full,
            visual=prompt.full,
            text=text,
            every=every,
            protected=PROTECT_FIRST + PROTECT_RECENT,
        )
        policy = replace(policy, max_tokens=room)
    with pruned(
        loaded.model, policy, update_every=every, protect_first=PROTECT_FIRST, protect_recent=PROTECT_RECENT
    ) as memory:
        given = answer(memory, prompt)
        cache = memory.last_cache
    kept = kept_cells(cache, prompt, FRAMES, 3).mean((0, 2, 3))  # (F,) share of each frame
    row = {"right": float(int(np.argmax(given.scores("sum"))) == question.answer), "kept": float(kept.mean())}
    row["early"], row["late"] = kept[: FRAMES // 3].sum() / kept.sum(), kept[-(FRAMES // 3) :].sum() / kept.sum()
    if 0 < len(question.evidence) <= FRAMES // 2:
        row["evidence"] = float(kept[list(question.evidence)].mean())
    return row


def summary(rows: list[dict[str, float]], full: list[dict[str, float]]) -> dict[str, Any]:
    """Means with 95% bootstrap intervals; accuracy also as paired difference to the full cache."""
    draws = np.random.default_rng(0).integers(0, len(rows), (2000, len(rows)))
    told: dict[str, Any] = {}
    columns = {
        key: np.array([row.get(key, np.nan) for row in rows]) for key in ("right", "kept", "evidence", "early", "late")
    }
    columns["difference"] = columns["right"] - np.array([row["right"] for row in full])
    for key, values in columns.items():
        low, high = np.quantile(np.nanmean(values[draws], axis=1), [0.025, 0.975])
        told[key] = [round(float(each), 4) for each in (np.nanmean(values), low, high)]
    told["n"], told["n_evidence"] = len(rows), int((~np.isnan(columns["evidence"])).sum())
    return told


if __name__ == "__main__":
    main()
