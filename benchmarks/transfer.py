"""Which update interval and which feature statistics carry a NAMM over to Decision Transformers, and why.

    python benchmarks/transfer.py           # about five minutes on one quiet core; resumes

One policy, evolved on language, at its own threshold, in `hopper-long` and `tmaze` (three models, six episodes each), at
several intervals and with three kinds of feature statistics. Beside the scores it measures how far the target model's
attention lies from the language model's: the mean of each feature channel, standardised by the statistics frozen from
language (0 would be language, 1 one deviation of it away). Writes `results/transfer.json`; episodes lie in `--output`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from rich.console import Console
from rich.table import Table

from namm_xmodal.config import EvaluationConfig, build_policy, load_evaluation_config
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.runner import evaluate
from namm_xmodal.modalities.rl.fit import estimate_on
from namm_xmodal.modalities.rl.loaded_agents import load_agents
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.setups import find_setups
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.policies.namm import Namm
from namm_xmodal.report.summary import Row, summarise

RESULTS = Path(__file__).parent / "results"
TRACKS = {"hopper-long": "rl/hopper", "tmaze": "rl/tmaze"}
INTERVALS = {"hopper-long": (16, 48), "tmaze": (16, 48, 96)}
STATISTICS = ("frozen", "estimated", "estimated_by_layer")
EPISODES, SEED = 6, 3000
"""Seeds of their own, which no other table uses."""


def load(track: str, overrides: list[str]) -> EvaluationConfig:
    """A track's configuration."""
    return load_evaluation_config(TRACKS[track], {"rl": RlSection}, overrides)


def settings(track: str, interval: int, policy: str, output: Path) -> list[str]:
    """Overrides of one cell's configuration."""
    keep = {name: f"{{policy: namm, path: {policy}, statistics: {name}}}" for name in STATISTICS}
    dropped = [name for name in load(track, []).sections["rl"].policies if name != "full"]
    section = [
        f"update_every={interval}",
        f"episodes={EPISODES}",
        f"seed={SEED}",
        "estimation_episodes=2",
        "survivors=false",
        "dtype=float32",
        *(f"policies.{name}=null" for name in dropped),
        *(f"policies.{name}={spec}" for name, spec in keep.items()),
        *(["policies.full=null"] if interval != INTERVALS[track][0] else []),
    ]
    return [*(f"rl.{change}" for change in section), f"output={output / f'{track}-{interval}'}"]


def distance(track: str, overrides: list[str], policy: str) -> dict[str, Any]:
    """Mean features of each model, in the language model's deviations from the language model's mean."""
    section = load(track, overrides).sections["rl"]
    assert isinstance(section, RlSection)
    namm = build_policy({"policy": "namm", "path": policy}, "policy")
    assert isinstance(namm, Namm) and namm.statistics is not None
    mean, std = namm.statistics.mean, namm.statistics.std
    shifts, ratios = [], []
    for loaded in load_agents(section, find_setups(section), lambda text: None):
        found = estimate_on(loaded, namm, section, lambda step, running: None)[0]
        shifts.append((found.mean - mean) / std)
        ratios.append(found.mean / mean)
    shift, ratio = torch.stack(shifts).mean(0), torch.stack(ratios).mean(0)
    return {"channels": shift.tolist(), "ratio": ratio.tolist(), "mean_channel": float(shift.mean())}


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", default="namm-smollm2")
    parser.add_argument("--output", type=Path, default=Path("results/transfer-intervals"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    content: dict[str, Any] = {"machine": describe_machine(), "policy": options.policy, "episodes": EPISODES}
    content["seed"] = SEED
    for track in TRACKS:
        rows: dict[str, dict[str, Row]] = {}
        for interval in INTERVALS[track]:
            overrides = settings(track, interval, options.policy, options.output)
            config = load(track, overrides)
            plan = make_plan(config, MODALITIES)
            console.print(f"{track}, update every {interval} tokens", style="dim")
            summary = summarise(evaluate(config, plan), plan, config.run.bootstrap)
            rows[str(interval)] = {row.policy: row for row in summary.rows}
        middle = settings(track, INTERVALS[track][1], options.policy, options.output)
        found = distance(track, middle, options.policy)
        content[track] = {
            "rows": {every: {name: row.to_json() for name, row in each.items()} for every, each in rows.items()},
            "distance_from_language": found,
        }
        show(console, track, rows, found)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "transfer.json").write_text(json.dumps(content, indent=1) + "\n")


def show(console: Console, track: str, rows: dict[str, dict[str, Row]], found: dict[str, Any]) -> None:
    """Prints scores with intervals, and cache kept at the end."""
    table = Table("every", *next(iter(rows.values())), title=f"{track}: score [95%], share kept at the end")
    for every, each in rows.items():
        cells = []
        for name in next(iter(rows.values())):
            row = each.get(name)
            if row is None:
                cells.append("")
                continue
            score = next(iter(row.cells.values())).score
            cells.append(f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}], {row.kept.fraction:.2f}")
        table.add_row(every, *cells)
    console.print(table)
    console.print(f"features lie {found['mean_channel']:+.2f} deviations from language on average: ", end="")
    console.print(" ".join(f"{value:+.2f}" for value in found["channels"]))


if __name__ == "__main__":
    main()
