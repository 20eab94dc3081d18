"""What a generation costs over the forward passes that it cannot avoid, and what the strategy adds.

    python benchmarks/evolve.py                                # population 16, one sample of 512 tokens a round, 3 rounds
    python benchmarks/evolve.py --population 8 --rounds 2      # a smaller look

SmolLM2-135M, one thread, CPU time. Unavoidable: the tokens before the first possible eviction once per sample, the rest
once per member, as rows of one batch of the bare model with its stock cache, logits for the answer only. Measured against
it: the same sample under a population that keeps everything (zero parameters), and under one that evicts (random ones,
the kept fraction is in the file). Bare model and populations take turns; medians are divided. Writes `results/evolve.json`
and draws it.
"""

import argparse
import json
import statistics
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from measure import cpu_seconds
from rich.console import Console
from transformers import DynamicCache

from namm_xmodal.evolution.table import build_strategy
from namm_xmodal.fitness import TemplateSpec, make_template
from namm_xmodal.fitness.pool import SamplePool, TrainingSample
from namm_xmodal.fitness.population_run import PruningSettings, run_rows
from namm_xmodal.language.key_retrieval import KeyRetrieval
from namm_xmodal.language.models import load_language_model
from namm_xmodal.policies.namm import NammPopulation

RESULTS = Path(__file__).parent / "results"
LIMIT = 1.15


@torch.no_grad()
def unavoidable(model: Any, sample: TrainingSample, members: int, shared: int) -> None:
    """The forward passes themselves."""
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]])
    cache = DynamicCache()
    model(input_ids=ids[:, :shared], past_key_values=cache, use_cache=True, logits_to_keep=1)
    cache.batch_repeat_interleave(members)
    rest = ids[:, shared:].expand(members, -1)
    model(input_ids=rest, past_key_values=cache, use_cache=True, logits_to_keep=len(sample.answer))


def strategy_seconds(population: int, count: int) -> float:
    """CPU seconds of one ask and tell at `count` parameters, the median of 20."""
    strategy = build_strategy("cma", np.zeros(count), population=population, seed=0)
    rng, seconds = np.random.default_rng(0), []
    for _ in range(20):

        def turn() -> None:
            strategy.tell(strategy.ask(), rng.normal(size=strategy.population))

        seconds.append(cpu_seconds(turn)[0])
    return statistics.median(seconds)


def draw(found: dict[str, Any], path: Path) -> None:
    """Bars of the ratios, the limit dashed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 2.4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    names = ["keeps everything", "evicts"]
    axis.barh(names, [found["ratio"][name] for name in names], color=["#0072B2", "#009E73"])
    axis.axvline(LIMIT, color="0.3", linestyle="--", linewidth=1, label=f"limit {LIMIT}")
    axis.set_xlabel("CPU time of a sample's generation / unavoidable forward passes")
    axis.legend(frameon=False, fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Measures, writes, draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--population", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--update-every", type=int, default=128)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_language_model("smollm2-135m", dtype="float32")
    model = loaded.model.eval()
    pool = SamplePool(KeyRetrieval(length=(options.length,)), loaded.tokenizer, options.rounds, 0, 128, "keys")
    template = make_template(TemplateSpec((0.01,) * 17, (0.03,) * 17, "a benchmark"))
    pruning = PruningSettings(options.update_every, 4, 8)
    count = template.parameters.shape[-1]
    rng = np.random.default_rng(0)
    populations = {
        "keeps everything": torch.zeros(options.population, count),
        "evicts": torch.from_numpy(rng.normal(0, 0.2, (options.population, count))).float(),
    }
    seconds: dict[str, list[float]] = {"unavoidable": [], **{name: [] for name in populations}}
    kept: dict[str, list[float]] = {name: [] for name in populations}
    for turn in range(options.rounds):
        sample = pool[turn]
        shared = options.update_every - 1
        spent, _ = cpu_seconds(partial(unavoidable, model, sample, options.population, shared))
        seconds["unavoidable"].append(spent)
        for name, members in populations.items():
            spent, scores = cpu_seconds(
                partial(run_rows, model, sample, NammPopulation(members, template), len(members), pruning)
            )
            seconds[name].append(spent)
            kept[name].append(float(scores.kept.mean()))
    bare = statistics.median(seconds["unavoidable"])
    ratio = {name: statistics.median(seconds[name]) / bare for name in populations}
    told = strategy_seconds(options.population, count)
    result = {
        "machine": describe_machine(),
        "settings": vars(options),
        "n": options.rounds,
        "seconds": seconds,
        "kept": {name: statistics.mean(values) for name, values in kept.items()},
        "ratio": ratio,
        "limit": LIMIT,
        "strategy_seconds": told,
        "strategy_share_of_one_sample": told / statistics.median(seconds["evicts"]),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "evolve.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for suffix in (".png", ".svg"):
        draw(result, RESULTS / f"evolve{suffix}")
    console = Console(highlight=False)
    for name, value in ratio.items():
        console.print(f"{name}: {value:.2f}x the unavoidable {bare:.1f} s (n={options.rounds}; limit {LIMIT})")
    console.print(f"strategy: {told * 1e3:.1f} ms a generation at {count:,} parameters")


if __name__ == "__main__":
    main()
