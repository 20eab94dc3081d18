"""Time and memory of every policy against the bare model with its stock cache, as ratios from one run.

    python benchmarks/engine.py                                              # every policy at 1k to 8k, float32
    python benchmarks/engine.py --dtype bfloat16 --policies namm_keeps_all   # one policy in half precision

SmolLM2-135M without its output layer, one thread. For each length: the bare model prefills whole and in chunks of 512 (the
faster counts), then every policy at the same chunking, then the bare model again; `--repeats` times, and medians are
divided. Decoding is timed after the prefill. Peak memory is measured in the first repeat, above what is resident before.
Writes `benchmarks/results/engine-{dtype}.json` after every measurement and draws it at the end.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from measure import at_budget, cpu_seconds, peak_mib
from published_memory import published_bytes
from rich.console import Console
from rich.progress import track
from transformers import DynamicCache

from namm_xmodal import AdaKV, Namm, PyramidKV, SnapKV, pruned
from namm_xmodal.cache.stopwatch import stopwatch
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.texts import find_texts
from namm_xmodal.policies.table import POLICIES

CHUNK = 512
RESULTS = Path(__file__).parent / "results"
QUARTER = 0.25


def policies() -> dict[str, Any]:
    """Every policy of the table at a quarter of the cache, and NAMMs that keep everything and a quarter."""
    found: dict[str, Any] = {"engine_only": None}
    wrappers = {
        "adakv": lambda: AdaKV(base=SnapKV(budget=QUARTER)),
        "pyramidkv": lambda: PyramidKV(base=SnapKV(budget=QUARTER)),
    }
    for name, kind in POLICIES.items():
        if name in (
            "namm",
            "by_head",
            "fastv",
        ):  # below; another policy with sizes by head; one for `post_prefill` alone
            continue
        found[name] = wrappers[name]() if name in wrappers else at_budget(kind, QUARTER)
    # Random parameters cost what evolved ones cost; the threshold and the cap fix what is kept.
    found["namm_keeps_all"] = Namm.untrained("random", threshold=-1e9)
    found["namm_quarter"] = Namm.untrained("random", threshold=-1e9, max_tokens=QUARTER)
    return found


class Bench:
    """One model and one text."""

    def __init__(self, dtype: str, decode: int) -> None:
        loaded = load_language_model("smollm2-135m", dtype=dtype)
        self.model = loaded.model.get_decoder().eval()
        text = "\n\n".join(document.text for document in find_texts("python-topics"))
        self.ids = loaded.tokenizer(text, return_tensors="pt", verbose=False).input_ids
        self.decode = decode

    def prefill(self, length: int, cache: Any, chunk: int) -> Any:
        """Feeds `length` tokens, `chunk` at a time; returns the cache."""
        for start in range(0, length, chunk):
            stop = min(length, start + chunk)
            self.model(self.ids[:, start:stop], past_key_values=cache, use_cache=True)
        return cache

    def decode_with(self, length: int, cache: Any) -> None:
        """Feeds the tokens after `length` one by one."""
        for position in range(length, length + self.decode):
            self.model(self.ids[:, position : position + 1], past_key_values=cache, use_cache=True)

    def run(self, length: int, make_cache: Callable[[], Any], chunk: int, memory: bool) -> dict[str, Any]:
        """CPU seconds of prefill and of a decoded token, peak memory if asked for, seconds by part."""
        peak = None
        with stopwatch() as parts:
            if memory:
                peak, (prefill, cache) = peak_mib(
                    lambda: cpu_seconds(lambda: self.prefill(length, make_cache(), chunk))
                )
            else:
                prefill, cache = cpu_seconds(lambda: self.prefill(length, make_cache(), chunk))
            shares = {part: seconds for part, seconds in parts.items()}
        decode, _ = cpu_seconds(lambda: self.decode_with(length, cache))
        return {"prefill": prefill, "decode": decode / self.decode, "peak_mib": peak, "parts": shares}


def measure_length(
    bench: Bench,
    length: int,
    chosen: dict[str, Any],
    attention: Any,
    repeats: int,
    save: Callable[[dict[str, Any]], None],
) -> None:
    """Runs everything at one length, in turn."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for repeat in range(repeats):
        first = repeat == 0
        for chunk in sorted({length, CHUNK}):
            name = "bare_whole" if chunk == length else "bare_chunked"
            runs.setdefault(name, []).append(bench.run(length, DynamicCache, chunk, first))
        fast = min(("bare_whole", "bare_chunked"), key=lambda n: _median(runs, n, "prefill"))
        for name, policy in track(chosen.items(), description=f"{length} tokens, repeat {repeat + 1}"):
            with pruned(bench.model, policy, update_every=CHUNK, attention=attention) as memory:
                chunk = length if fast == "bare_whole" else CHUNK
                run = bench.run(length, memory.cache, chunk, first)
                run["kept_fraction"] = memory.report().kept_fraction
            runs.setdefault(name, []).append(run)
            save(summarise(length, runs, fast))
        # Once more: on a shared machine speed drifts, and the denominator should not be older than what it divides.
        runs[fast].append(bench.run(length, DynamicCache, length if fast == "bare_whole" else CHUNK, False))
        save(summarise(length, runs, fast))


def summarise(length: int, runs: dict[str, list[dict[str, Any]]], fast: str) -> dict[str, Any]:
    """Medians, and ratios to the bare model."""
    bare_prefill, bare_decode = _median(runs, fast, "prefill"), _median(runs, fast, "decode")
    rows = {}
    for name, measured in runs.items():
        first = measured[0]
        prefill = _median(runs, name, "prefill")
        rows[name] = {
            "n": len(measured),
            "prefill_cpu_seconds": prefill,
            "prefill_ratio": prefill / bare_prefill,
            "prefill_ratio_range": [f(m["prefill"] for m in measured) / bare_prefill for f in (min, max)],
            "decode_cpu_seconds_per_token": _median(runs, name, "decode"),
            "decode_ratio": _median(runs, name, "decode") / bare_decode,
            "peak_mib_above_bare": first["peak_mib"] - runs[fast][0]["peak_mib"],
            "share_of_prefill": {part: seconds / first["prefill"] for part, seconds in first["parts"].items()},
            "kept_fraction_after_prefill_and_decoding": first.get("kept_fraction", 1.0),
        }
    return {"tokens": length, "bare": fast, "rows": rows}


def _median(runs: dict[str, list[dict[str, Any]]], name: str, key: str) -> float:
    return statistics.median(run[key] for run in runs[name])


def main() -> None:
    """Parses arguments, measures, writes and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 2048, 4096, 8192])
    parser.add_argument("--policies", nargs="+", default=sorted(policies()), choices=sorted(policies()))
    parser.add_argument("--attention", default="tiled", choices=["auto", "sdpa", "tiled"], help="as in pruned()")
    parser.add_argument("--repeats", type=int, nargs="+", default=[3, 3, 1, 1], help="one per length, or one for all")
    parser.add_argument("--decode", type=int, default=32, help="tokens to decode after each prefill")
    parser.add_argument(
        "--output", type=Path, default=None, help="JSON file; default benchmarks/results/engine-DTYPE.json"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    output = arguments.output or RESULTS / f"engine-{arguments.dtype}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    bench = Bench(arguments.dtype, arguments.decode)
    everything = policies()
    chosen = {name: everything[name] for name in arguments.policies}
    result: dict[str, Any] = {
        "model": "smollm2-135m, no output layer",
        "dtype": arguments.dtype,
        "attention": arguments.attention,
        "update_every": CHUNK,
        "budget": QUARTER,
        "repeats": dict(zip(arguments.lengths, arguments.repeats * len(arguments.lengths), strict=False)),
        "machine": describe_machine(),
        "lengths": {},
    }

    def save(summary: dict[str, Any]) -> None:
        config, item = bench.model.config, bench.model.dtype.itemsize
        sizes = (config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads, item)
        summary["published_code_mib"] = published_bytes(summary["tokens"], *sizes) / 2**20
        result["lengths"][str(summary["tokens"])] = summary
        output.write_text(json.dumps(result, indent=1) + "\n")

    with torch.no_grad():
        bench.prefill(256, DynamicCache(), 256)  # warm-up
        repeats = arguments.repeats * len(arguments.lengths) if len(arguments.repeats) == 1 else arguments.repeats
        for length, count in zip(arguments.lengths, repeats, strict=True):
            measure_length(bench, length, chosen, arguments.attention, count, save)
    console = Console()
    for length, summary in result["lengths"].items():
        console.print(f"[bold]{length} tokens[/bold], ratios to {summary['bare']}")
        for name, row in summary["rows"].items():
            shares = " ".join(f"{part} {share:.0%}" for part, share in row["share_of_prefill"].items())
            console.print(
                f"  {name:18} prefill {row['prefill_ratio']:5.2f}  decode {row['decode_ratio']:5.2f}  "
                f"peak {row['peak_mib_above_bare']:+8.1f} MiB  {shares}"
            )
    from plot_engine import draw

    console.print(f"{output} and {draw(output)}")


if __name__ == "__main__":
    main()
