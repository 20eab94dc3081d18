"""What a channel costs: prefill of a NAMM that sees it, over that of the published NAMM, which sees the spectrogram alone.

    python benchmarks/channels.py                                 # every channel beside the spectrogram, and alone
    python benchmarks/channels.py --lengths 1024 --repeats 1      # a quick look

SmolLM2-135M without its output layer, float32, one thread, CPU time, an update every 512 tokens, everything kept, which is
the dearest case. The published NAMM, every other one and the published NAMM again take turns, `--repeats`
times, and medians are divided. Writes `benchmarks/results/channels.json`.
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from measure import cpu_seconds
from rich.console import Console
from rich.progress import track

from namm_xmodal import Namm, pruned
from namm_xmodal.cache.stopwatch import stopwatch
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.texts import find_texts
from namm_xmodal.policies.namm import make_features
from namm_xmodal.policies.namm.channels import CHANNELS

UPDATE_EVERY = 512
OUTPUT = Path(__file__).parent / "results" / "channels.json"
PUBLISHED = "spectrogram"


def variants() -> dict[str, list[str]]:
    """The published NAMM, each other channel beside its own, and lists that ask for no attention at all."""
    beside = {f"spectrogram, {name}": ["spectrogram", name] for name in CHANNELS if name != "spectrogram"}
    alone = {name: [name] for name in ("recent_attention", "key_novelty", "nearest_key")}
    return {PUBLISHED: ["spectrogram"], **beside, **alone}


def prefill(model: Any, ids: torch.Tensor, channels: list[str]) -> dict[str, float]:
    """CPU seconds of a prefill in chunks of 512, in all and of scoring (reading channels included) and observing."""
    policy = Namm.untrained("random", threshold=-1e9, features=make_features(channels))
    with pruned(model, policy, update_every=UPDATE_EVERY, attention="tiled") as memory, stopwatch() as parts:

        def run() -> None:
            cache = memory.cache()
            for chunk in ids.split(UPDATE_EVERY, dim=1):
                model(chunk, past_key_values=cache, use_cache=True)

        seconds, _ = cpu_seconds(run)
    return {"prefill": seconds, **dict(parts.items())}


@torch.no_grad()
def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--repeats", type=int, nargs="+", default=[3, 1], help="one per length")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_language_model("smollm2-135m", dtype="float32")
    model = loaded.model.get_decoder().eval()
    text = "\n\n".join(document.text for document in find_texts("python-topics"))
    every = loaded.tokenizer(text, return_tensors="pt", verbose=False).input_ids
    result: dict[str, Any] = {"machine": describe_machine(), "update_every": UPDATE_EVERY, "lengths": {}}
    console = Console(highlight=False)
    prefill(model, every[:, :UPDATE_EVERY], ["spectrogram"])  # warm-up
    for length, repeats in zip(arguments.lengths, arguments.repeats, strict=True):
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in variants()}
        for _ in range(repeats):
            for name, channels in track(variants().items(), description=f"{length} tokens"):
                runs[name].append(prefill(model, every[:, :length], channels))
            runs[PUBLISHED].append(prefill(model, every[:, :length], ["spectrogram"]))
        median = partial(_median, runs)
        result["lengths"][str(length)] = {
            name: {
                "n": len(measured),
                "prefill_cpu_seconds": median(name, "prefill"),
                "prefill_ratio": median(name, "prefill") / median(PUBLISHED, "prefill"),
                "range": [f(m["prefill"] for m in measured) / median(PUBLISHED, "prefill") for f in (min, max)],
                "seconds_of_scoring": median(name, "score"),
            }
            for name, measured in runs.items()
        }
        for name, row in result["lengths"][str(length)].items():
            console.print(f"{length} tokens, {name}: {row['prefill_ratio']:.2f} (n={row['n']})")
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _median(runs: dict[str, list[dict[str, float]]], name: str, key: str) -> float:
    return statistics.median(run.get(key, 0.0) for run in runs[name])


if __name__ == "__main__":
    main()
