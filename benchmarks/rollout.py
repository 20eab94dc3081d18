"""What stepping through a cache saves over recomputing a window: environment steps per CPU second, ratios of one run.

    python benchmarks/rollout.py            # about three minutes on one quiet core
    python benchmarks/rollout.py --quick    # a first look

A Decision Transformer of the published sizes (3 layers, width 128), float32, one thread, random states: the network only,
since physics are the same on both sides. `stock` is the published way, the last K steps through the whole model at every
step; the caches are first-in-first-out at 60 tokens, everything, and an untrained NAMM. All take turns, several rounds;
medians are divided. Writes `results/rollout.json` and draws it.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine
from measure import cpu_seconds
from rich.console import Console
from rich.table import Table
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from namm_xmodal import Namm, Recency
from namm_xmodal.agents import AgentModel, CacheAgent, WindowAgent
from namm_xmodal.envs.agent import Agent, StepInput

RESULTS = Path(__file__).parent / "results"
STATE, ACTION = 11, 3


def new_agent_model() -> AgentModel:
    """A model of the published sizes, not trained: speed does not depend on weights."""
    config = DecisionTransformerConfig(state_dim=STATE, act_dim=ACTION, max_ep_len=1000, n_layer=3, n_head=1)
    torch.manual_seed(0)
    return AgentModel(DecisionTransformerModel(config).eval())


def play(agent: Agent, batch: int, first: int, steps: int) -> None:
    """Acts on random states; the first `first` steps fill the memory and are part of the price."""
    states = np.random.default_rng(0).normal(size=(first + steps, batch, STATE))
    actions = None
    with agent.begin(batch) as actor:
        for step, state in enumerate(states):
            actions = actor.act(StepInput(step, state, np.full(batch, 3.6), actions))


def recompute_at(agent_model: AgentModel, window: int, batch: int, steps: int) -> None:
    """`steps` recomputes of a full window: what a rollout pays per step once its window is full."""
    agent = WindowAgent(agent_model, window)
    states = np.random.default_rng(0).normal(size=(window + steps, batch, STATE))
    with agent.begin(batch) as actor:
        actor._inputs = [  # type: ignore[attr-defined]  a full window, without the price of filling it
            StepInput(t, states[t], np.full(batch, 3.6), np.zeros((batch, ACTION)) if t else None)
            for t in range(window - 1)
        ]
        for step in range(window - 1, window - 1 + steps):
            actor.act(StepInput(step, states[step], np.full(batch, 3.6), np.zeros((batch, ACTION))))


def main() -> None:
    """Measures, prints, writes, draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    agent_model, rounds, part = new_agent_model(), 2 if options.quick else options.rounds, 4 if options.quick else 1
    fifo, namm = Recency(budget=60), Namm.untrained("random", max_tokens=60)

    def cache(policy: Any, batch: int, steps: int) -> Any:
        agent = CacheAgent(agent_model, policy, update_every=48)
        return lambda: play(agent, batch, 0, steps), batch * steps

    def stock(window: int, batch: int, steps: int) -> Any:
        return lambda: recompute_at(agent_model, window, batch, steps), batch * steps

    jobs = {
        "stock, K = 20, batch 1": stock(20, 1, 200 // part),
        "cache, 60 tokens, batch 1": cache(fifo, 1, 400 // part),
        "cache, NAMM, batch 1": cache(namm, 1, 400 // part),
        "stock, K = 20, batch 32": stock(20, 32, 20 // part),
        "cache, 60 tokens, batch 32": cache(fifo, 32, 100 // part),
        "cache, NAMM, batch 32": cache(namm, 32, 100 // part),
        "stock, K = 1000, batch 1": stock(1000, 1, 4 // part),
        "cache, everything, batch 1": cache(None, 1, 1000),
    }
    for call, _ in jobs.values():  # everything once, so that nothing is measured cold
        call()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, (call, steps) in jobs.items():
            seconds[name].append(cpu_seconds(call)[0] / steps)
    speed = {name: 1 / statistics.median(each) for name, each in seconds.items()}
    ratios = {
        f"{fast} over {slow}": speed[fast] / speed[slow]
        for fast, slow in (
            ("cache, 60 tokens, batch 1", "stock, K = 20, batch 1"),
            ("cache, NAMM, batch 1", "stock, K = 20, batch 1"),
            ("cache, 60 tokens, batch 32", "stock, K = 20, batch 1"),
            ("cache, 60 tokens, batch 32", "stock, K = 20, batch 32"),
            ("cache, NAMM, batch 32", "stock, K = 20, batch 1"),
            ("cache, everything, batch 1", "stock, K = 1000, batch 1"),
        )
    }
    show(speed, ratios)
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": describe_machine(), "rounds": rounds, "steps_per_cpu_second": speed, "ratios": ratios}
    content["all_rounds"] = {name: [1 / each for each in values] for name, values in seconds.items()}
    (RESULTS / "rollout.json").write_text(json.dumps(content, indent=1) + "\n")
    draw(speed, RESULTS / "rollout.png")


def show(speed: dict[str, float], ratios: dict[str, float]) -> None:
    """Prints both tables."""
    table = Table("network only", "environment steps per CPU second", title="Decision Transformer, 3 layers, width 128")
    for name, value in speed.items():
        table.add_row(name, f"{value:,.1f}")
    table.add_section()
    for name, value in ratios.items():
        table.add_row(name, f"{value:.1f}x")
    Console().print(table)


def draw(speed: dict[str, float], path: Path) -> None:
    """Bars on a logarithmic axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    names = list(speed)[::-1]
    axis.barh(
        names, [speed[n] for n in names], color=["#D55E00" if n.startswith("stock") else "#0072B2" for n in names]
    )
    axis.set_xscale("log")
    axis.set_xlabel("environment steps per CPU second, network only")
    axis.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
