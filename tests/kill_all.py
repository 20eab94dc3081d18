"""Kills every command at random moments, with real models, and asserts that each ends as if it had been left alone.

    python tests/kill_all.py --kills 100

A kill per second or so. `tests/*/test_kill_*.py` kill at every single file operation instead, with cheaper stand-ins.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # and so no threads that a fork would miss
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from killing import command, killed_at_random

LINES = {
    "evolve": "evolve evolve/smoke --set generations=2 --set strategy.population=4 --set samples=1 --set pool=2 "
    "--set validation=2 --set statistics.samples=1 --set tasks.next_token=null --run {}",
    "warm-start": "warm-start evolve/smoke --set gradient.steps=2 --set samples=1 --set pool=2 "
    "--set statistics.samples=1 --set tasks.next_token=null --run {}",
    "eval": "eval language/smoke --set language.tasks.key_retrieval=null --set language.tasks.next_token.n=2 "
    "--set language.budgets=0.5 "
    "--output {}",
    "rollout": "rollout rl/tmaze --set rl.model_seeds=0 --set rl.environment_options.length=8 --set rl.episodes=2 "
    "--set rl.max_steps=12 --set rl.budgets=[9] --set rl.policies.window.steps=4 --set rl.policies.namm_budget=null "
    "--set rl.policies.namm_untrained=null "
    "--output {}",
    "video-qa": "video-qa video/smoke --set video.loader.workers=0 --set video.options.n=3 --set bootstrap.resamples=100 "
    "--output {}",
    "calibrate": "calibrate namm-smollm2 --model tiny-random --floor 0 --length 256 --count 1 --update-every 64 "
    "--output {}",
    "head-shares": "head-shares shares/smoke --run {}",
    "prepare": "prepare video --tiny --output {}",
}
TIMES = {
    **dict.fromkeys(("eval", "rollout", "video-qa"), ("table.txt",)),
    "prepare": ("journal.jsonl", "snapshot.safetensors", "model/README.md", "model/measured.json"),
}
"""Files that hold CPU times."""


def start(name, folder):
    """Starts a command."""
    command(*LINES[name].format(folder).split())


def again(name, folder):
    """As a user would: the same command, or `--resume` for a run of evolution that has got so far."""
    if name == "evolve" and (folder / "config.yaml").exists():
        command("evolve", "--resume", folder)
    else:
        start(name, folder)


def kill_all(place, kills, seed, names=tuple(LINES)):
    """Spreads the kills over the commands."""
    for number, name in enumerate(names):
        share = kills // len(names) + (number < kills % len(names))
        runs = killed_at_random(
            place / name,
            lambda folder, name=name: start(name, folder),
            lambda folder, name=name: again(name, folder),
            share,
            seed + number,
            TIMES.get(name, ()),
        )
        print(f"{name}: {share} kills, {runs} runs ended with the same bits", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=LINES, default=tuple(LINES))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        kill_all(Path(folder), chosen.kills, chosen.seed, chosen.only)
