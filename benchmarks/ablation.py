"""What makes a NAMM work: small runs that each change one thing, judged on the same samples at a quarter of the cache.

    python benchmarks/ablation.py                    # all of it: about an hour and a half on one core
    python benchmarks/ablation.py --only network     # one group
    python benchmarks/ablation.py --variants cma     # one run, beside the first and `cma`; other rows stay as they are
    python benchmarks/ablation.py --workers 2

Three groups. `network`: scorer, features and their decay, each found by the same steps of `warm-start` on the same
samples (statistics estimated anew for each). `strategy`: strategies that go on from the mean of the first of these runs
for the same generations with the same samples; `policy_gradient` for as many forward passes, and `straight_through` for a
third as many, since each has a backward pass that costs about two. `size`: size pressure on and off, likewise. Every
policy is calibrated to a quarter of the cache on the same plain texts (`namm-xmodal calibrate`) and judged by
`eval language/ablation`, so that all have the same size on average, spent where each of them likes.

Everything goes through the command line, into `runs/ablation/`: what is finished is not run again. Writes
`benchmarks/results/ablation.json` and `.png`, and prints the table.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from machine import describe_machine
from plot_ablation import plot
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
FIRST = "bam_spectrogram"
EVOLVED = "cma"  # what the other evolved ones are compared with too
FROM_FIRST = "start={runs}/" + FIRST + "/policy"
BASELINES = ("full", "keydiff", "namm", "namm_untrained")
AT_A_QUARTER = "first_budget: 0.25, budget: 0.25, anneal: 1"


@dataclass(frozen=True)
class Variant:
    """One run: the command that makes it and what it changes."""

    group: str
    name: str
    command: str
    changes: tuple[str, ...] = ()


VARIANTS = (
    Variant("network", FIRST, "warm-start"),
    Variant("network", "mlp", "warm-start", ("scorer=mlp",)),
    Variant("network", "mean_attention", "warm-start", ("features=mean_attention",)),
    Variant("network", "projection", "warm-start", ("features=projection",)),
    Variant("network", "ema_0_9", "warm-start", ("ema_coefficient=0.9",)),
    Variant("network", "ema_0_999", "warm-start", ("ema_coefficient=0.999",)),
    Variant("network", "ema_0_9999", "warm-start", ("ema_coefficient=0.9999",)),
    Variant("strategy", "cma", "evolve", ("strategy.name=cma", FROM_FIRST)),
    Variant("strategy", "paper", "evolve", ("strategy.name=paper", FROM_FIRST)),
    Variant("strategy", "snes", "evolve", ("strategy.name=snes", FROM_FIRST)),
    Variant("strategy", "openai_es", "evolve", ("strategy.name=openai_es", FROM_FIRST)),
    Variant("strategy", "random_search", "evolve", ("strategy.name=random_search", FROM_FIRST)),
    Variant(
        "strategy",
        "policy_gradient",
        "warm-start",
        (f"gradient={{estimator: policy_gradient, steps: 16, {AT_A_QUARTER}}}", FROM_FIRST),
    ),
    Variant("strategy", "straight_through", "warm-start", (f"gradient={{steps: 43, {AT_A_QUARTER}}}", FROM_FIRST)),
    Variant("size", "no_size_pressure", "evolve", ("size_pressure={schedule: constant, weight: 0}", FROM_FIRST)),
)


def run(variant: Variant, runs: Path, workers: int) -> Path:
    """Makes a variant, or resumes it; returns the folder of its policy."""
    folder = runs / variant.name
    changes = [change.replace("{runs}", str(runs)) for change in variant.changes]
    if any(change.startswith("start=") for change in changes):
        changes.append(f"statistics.path={runs / FIRST}/policy")
    marker = folder / "finished"
    if not marker.exists():
        resumed = variant.command == "evolve" and (folder / "journal.jsonl").exists()
        target = ["--resume", str(folder)] if resumed else ["evolve/ablation", "--run", str(folder)]
        sets = [] if resumed else [word for change in changes for word in ("--set", change)]
        command = [sys.executable, "-m", "namm_xmodal", variant.command, *target, "--workers", str(workers), *sets]
        subprocess.run(command, check=True)
        marker.touch()
    return folder / "policy"


def calibrated(policy: Path) -> Path:
    """The same policy with the thresholds that keep a quarter of plain text."""
    folder = policy.parent / "quarter"
    if not (folder / "config.json").exists():
        sizes = ["--budget", "0.25", "--length", "448", "--count", "4"]
        command = [sys.executable, "-m", "namm_xmodal", "calibrate", str(policy), "--output", str(folder), *sizes]
        subprocess.run(command, check=True)
    return folder


def judge(
    policies: dict[str, Path], output: Path, workers: int, known: Collection[str]
) -> dict[str, dict[str, dict[str, float]]]:
    """Policy -> task -> mean, interval, n and cache kept of the primary metric, and the paired difference to the first.

    Baselines that are `known` are not run again.
    """
    sets = [word for name in BASELINES if name in known for word in ("--set", f"language.policies.{name}=null")]
    sets += [
        word
        for name, folder in policies.items()
        for word in ("--set", f"language.policies.{name}={{policy: namm, path: {folder}}}")
    ]
    command = [sys.executable, "-m", "namm_xmodal", "eval", "language/ablation", "--output", str(output)]
    subprocess.run([*command, "--workers", str(workers), *sets], check=True)
    from namm_xmodal.evaluation.estimate import estimate, paired
    from namm_xmodal.report.read import read_results

    scores: dict[str, dict[str, dict[str, float]]] = {}
    kept: dict[tuple[str, str], list[float]] = {}
    for record in read_results(output).records:
        for task in (record.task, "all"):
            by_item = scores.setdefault(record.policy, {}).setdefault(task, {})
            by_item[record.item] = record.scores["answer_probability"]
            kept.setdefault((record.policy, task), []).append(record.kept.fraction)
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for name, tasks in scores.items():
        for task, by_item in tasks.items():
            own = [by_item[item] for item in sorted(by_item)]
            mean = estimate(own)
            row = {"n": mean.n, "mean": mean.value, "low": mean.low, "high": mean.high}
            row["kept"] = sum(kept[name, task]) / mean.n
            for against, key in ((FIRST, "difference"), (EVOLVED, "minus_cma")):
                if against in scores and not against == name == FIRST:
                    other = scores[against][task]
                    pair = paired(own, [other[item] for item in sorted(by_item)])
                    row |= {key: pair.value, f"{key}_low": pair.low, f"{key}_high": pair.high}
            summary.setdefault(name, {})[task] = row
    return summary


def main() -> None:
    """Parses arguments, runs, judges, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups = sorted({variant.group for variant in VARIANTS})
    parser.add_argument("--only", nargs="+", choices=groups, default=groups, help="groups to run")
    names = [variant.name for variant in VARIANTS]
    parser.add_argument("--variants", nargs="+", choices=names, default=names, help="runs to make")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"), help="folder of the runs")
    parser.add_argument("--workers", type=int, default=1, help="local processes")
    arguments = parser.parse_args()
    asked = [v for v in VARIANTS if v.group in arguments.only and v.name in arguments.variants]
    chosen = [v for v in VARIANTS if v in asked or v.name in (FIRST, EVOLVED)]
    policies = {variant.name: calibrated(run(variant, arguments.runs, arguments.workers)) for variant in chosen}
    output = RESULTS / "ablation.json"
    before = json.loads(output.read_text()) if output.exists() and len(asked) < len(VARIANTS) else {}
    known = before.get("scores", {})
    judged = judge(policies, arguments.runs / "judged", arguments.workers, known)
    fresh = {name: rows for name, rows in judged.items() if name not in known or any(v.name == name for v in asked)}
    summary = {**known, **fresh}
    made = {v.name: [v.group, *v.changes] for v in VARIANTS if v.name in summary}
    result = {"machine": describe_machine(), "variants": made, "scores": summary}
    output.write_text(json.dumps(result, indent=1) + "\n")
    plot(result, RESULTS / "ablation.png")
    table = Table("group", "variant", "answer probability", f"minus {FIRST}", f"minus {EVOLVED}", "cache kept", "n")
    for name in summary:
        group = made[name][0] if name in made else ""
        row = summary[name]["all"]
        score = f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        pairs = [_pair(row, "difference"), _pair(row, "minus_cma")]
        table.add_row(group, name, score, *pairs, f"{row['kept']:.0%}", str(row["n"]))
    Console(width=140).print(table, f"{output}")


def _pair(row: dict[str, float], key: str) -> str:
    return f"{row[key]:+.3f} [{row[f'{key}_low']:+.3f}, {row[f'{key}_high']:+.3f}]" if key in row else ""


if __name__ == "__main__":
    main()
