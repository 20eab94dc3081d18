"""Paired comparisons out of a finished evaluation: one policy against every other on the same samples.

    python benchmarks/compare.py results/held_out --policy namm_half --against 0.5
    python benchmarks/compare.py results/held_out --policy namm --against 0.25

For each task the mean score over the full cache's mean on the same samples; then the mean of the tasks, with every task
counting the same, and the difference to each baseline with a 95% bootstrap interval (samples resampled within tasks, pairs
kept together). Reads `results.jsonl` and prints a table.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from namm_xmodal.report.read import read_results

METRICS = ("accuracy", "answer_probability", "token_probability")
RESAMPLES, SEED = 2000, 0


def read(folder: Path) -> dict[str, dict[str, dict[int, tuple[float, float]]]]:
    """Policy and size -> task -> sample -> (score, kept fraction)."""
    found: dict[str, dict[str, dict[int, tuple[float, float]]]] = {}
    records = read_results(folder).records
    sections = sorted({record.section for record in records})
    if sections != ["language"]:
        raise SystemExit(f"{folder}: holds {', '.join(sections)}; expected an evaluation of language alone")
    for record in records:
        score = next(record.scores[name] for name in METRICS if name in record.scores)
        label = record.policy if record.budget is None else f"{record.policy} {record.budget}"
        found.setdefault(label, {}).setdefault(record.task, {})[record.number] = (score, record.kept.fraction)
    return found


def arrays(by_task: dict[str, dict[int, tuple[float, float]]]) -> dict[str, np.ndarray]:
    """Task -> (n, 2) scores and kept fractions in the order of the samples."""
    return {task: np.array([by_sample[key] for key in sorted(by_sample)]) for task, by_sample in by_task.items()}


def relative(scores: dict[str, np.ndarray], full: dict[str, np.ndarray], chosen: dict[str, np.ndarray]) -> float:
    """Mean over tasks of the score over the full cache's, on the chosen samples."""
    return float(np.mean([scores[t][i, 0].mean() / full[t][i, 0].mean() for t, i in chosen.items()]))


def main() -> None:
    """Parses arguments and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder of a finished evaluation")
    parser.add_argument("--policy", default="namm", help="label of the policy to compare")
    parser.add_argument("--against", default="0.25", help="size of the baselines, as in their budget")
    arguments = parser.parse_args()
    results = {name: arrays(by_task) for name, by_task in read(arguments.folder).items()}
    full, own = results["full"], results[arguments.policy]
    rng = np.random.default_rng(SEED)
    draws = [{t: rng.integers(0, len(v), len(v)) for t, v in full.items()} for _ in range(RESAMPLES)]
    everything = {t: np.arange(len(v)) for t, v in full.items()}
    table = Table("policy", "score over the full cache's", f"{arguments.policy} minus it", "cache kept")
    counts = {task: len(values) for task, values in full.items()}
    baselines = [name for name in results if name.endswith(f" {arguments.against}") and name != arguments.policy]
    fewer = [name for name in baselines if {task: len(values) for task, values in results[name].items()} != counts]
    baselines = [name for name in baselines if name not in fewer]
    for name in (arguments.policy, *baselines):
        scores = results[name]
        means = np.array([relative(scores, full, draw) for draw in draws])
        low, high = np.quantile(means, [0.025, 0.975])
        pair = ""
        if name != arguments.policy:
            gap = np.array([relative(own, full, draw) for draw in draws]) - means
            mean = relative(own, full, everything) - relative(scores, full, everything)
            pair = "{:+.2f} [{:+.2f}, {:+.2f}]".format(mean, *np.quantile(gap, [0.025, 0.975]))
        kept = np.mean([v[:, 1].mean() for v in scores.values()])
        table.add_row(name, f"{relative(scores, full, everything):.2f} [{low:.2f}, {high:.2f}]", pair, f"{kept:.0%}")
    Console(width=140).print(table, ", ".join(f"{task} n = {count}" for task, count in counts.items()))
    if fewer:
        print(f"left out, for they have fewer samples: {', '.join(fewer)}")


if __name__ == "__main__":
    main()
