"""Whether gradients of different samples point the same way: what a step on few samples can learn from each source.

    python benchmarks/gradient_agreement.py train/universal --samples 8                  # minutes on one core
    python benchmarks/gradient_agreement.py train/universal --set "tasks.keys={task: multi_key_retrieval, length: [448]}"

For each task and source of agreement, at the start of the file: the length of gradients, the mean cosine between those of
two samples (0: noise, 1: every sample says the same), with an interval over samples (jackknife), and the cosines between
the means of sources (below 0: they pull apart). Writes `benchmarks/results/gradient_agreement.json`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from namm_xmodal.cli.evolve_setup import make_setup, no_statistics
from namm_xmodal.config.train import load_train_config
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness.agree import PREFIX
from namm_xmodal.fitness.mixture import Mixture
from namm_xmodal.gradient.descent import Descent, DescentSettings
from namm_xmodal.gradient.run import aims_of
from namm_xmodal.gradient.sample import sample_gradient
from namm_xmodal.unlabelled.opening import count_inputs

RESULTS = Path(__file__).parent / "results" / "gradient_agreement.json"
Vectors = NDArray[np.float64]


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="a file of `namm-xmodal train` with a start")
    parser.add_argument("--set", dest="assignments", action="append", default=[], help="key=value, as of train")
    parser.add_argument("--samples", type=int, default=8, help="of each source, at least 3")
    options = parser.parse_args()
    if options.samples < 3:
        parser.error("--samples: expected at least 3")
    found = measure(options.config, options.assignments, options.samples)
    RESULTS.write_text(json.dumps({**found, "machine": describe_machine()}, indent=1) + "\n")
    show(found)


def measure(config: str, assignments: list[str], samples: int) -> dict[str, object]:
    """Gradients of the first samples of every task and source."""
    setup = make_setup(load_train_config(config, assignments))
    factory = setup.factory(no_statistics(setup.config))
    objective, start = Mixture(factory), setup.strategy.mean
    gradient = setup.config.gradient
    settings = DescentSettings(
        selection=gradient.selection, budget=gradient.budget, floor=gradient.floor, share_of=gradient.share_of
    )
    descent = Descent(len(start), settings, start)
    descent.step = settings.anneal  # the last budgets
    aims = aims_of(descent, factory)
    models = {name: model for name in setup.objective.tasks for model in setup.objective.models}
    models.update({PREFIX + name: source.model for name, source in setup.agree.sources.items()})
    rows, means = {}, {}
    for label, model in models.items():
        source = setup.agree.sources.get(label.removeprefix(PREFIX))
        count = samples if source is None else min(samples, count_inputs(source))
        each = []
        for index in track(range(count), label, console=Console(stderr=True)):
            lesson = objective.lesson(Shard(label, (index,), model))
            aim = aims[lesson.source].of_sample(index, lesson.length)
            each.append(sample_gradient(lesson, start, objective.template, aim).gradient)
        vectors = np.array(each)
        rows[label] = {"samples": count, **agreement(vectors)}
        means[label] = _unit(vectors).mean(0)
    cosines = {a: {b: round(_cosine(means[a], means[b]), 2) for b in means} for a in means}
    return {"config": config, "set": assignments, "samples": samples, "sources": rows, "cosines of means": cosines}


def agreement(vectors: Vectors) -> dict[str, object]:
    """Median length, and the mean cosine of two of (n, N) gradients with its 95% interval."""
    units = _unit(vectors)
    cosines = units @ units.T
    count = len(units)
    total = cosines.sum() - np.trace(cosines)
    mean = total / (count * (count - 1))
    without = np.array([(total - 2 * (cosines[i].sum() - cosines[i, i])) for i in range(count)])
    without /= (count - 1) * (count - 2)
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    lengths = np.linalg.norm(vectors, axis=1)
    return {
        "median length": round(float(np.median(lengths)), 3),
        "cosine": round(float(mean), 3),
        "interval": [round(float(mean - 1.96 * error), 3), round(float(mean + 1.96 * error), 3)],
    }


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def _cosine(a: Vectors, b: Vectors) -> float:
    return float(a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12))


def show(found: dict[str, object]) -> None:
    """Prints the two tables."""
    console, sources, cosines = Console(), found["sources"], found["cosines of means"]
    assert isinstance(sources, dict)
    assert isinstance(cosines, dict)
    table = Table("source", "n", "median length", "cosine of two samples", title="gradients at the start")
    for label, row in sources.items():
        low, high = row["interval"]
        table.add_row(
            label, str(row["samples"]), f"{row['median length']:.2f}", f"{row['cosine']:.2f} [{low:.2f}, {high:.2f}]"
        )
    console.print(table)
    for label, others in cosines.items():
        told = ", ".join(f"{other} {value:+.2f}" for other, value in others.items() if other != label)
        console.print(f"mean of {label}: {told}", soft_wrap=True)


if __name__ == "__main__":
    main()
