"""Trains the models of a family, tries each of them, and writes the family's card."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from namm_xmodal.agents import AgentModel, CacheAgent, WindowAgent
from namm_xmodal.agents.checkpoint import load_checkpoint, save_checkpoint
from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.envs.agent import Agent
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.normalise import D4RL, d4rl
from namm_xmodal.envs.rollout import Target, rollout
from namm_xmodal.training.decision_transformer.journal import StageJournal
from namm_xmodal.training.decision_transformer.learn import learn, new_model
from namm_xmodal.training.decision_transformer.recipes import Recipe
from namm_xmodal.training.decision_transformer.windows import Batch
from namm_xmodal.types import OnProgress

Draw = Callable[[np.random.Generator, int, int], Batch]
TRIAL_EPISODES, TRIAL_SEED = 10, 5000
"""Episodes that a new model is tried on; evaluations use other seeds."""


def train_family(
    recipe: Recipe,
    metadata: CheckpointMetadata,
    sizes: tuple[int, int],
    draw: Callable[[int], Draw],
    seeds: Sequence[int],
    folder: Path,
    journal: StageJournal,
    on_progress: OnProgress,
    extra: Callable[[AgentModel], dict[str, Any]] = lambda agent_model: {},
) -> None:
    """Trains what is missing.

    Args:
        recipe: What to train.
        metadata: How to roll it out; saved with each model.
        sizes: Numbers of a state and of an action.
        draw: From a seed to what `learn` draws from.
        seeds: One model each.
        folder: Of all families; the models go to `<name>/seed-<n>` in it.
        journal: Of finished models.
        on_progress: Called as `on_progress(done, total, what)`.
        extra: More trials of a model, for its card.
    """
    for seed in seeds:
        label = f"{recipe.name}/seed-{seed}"
        place = folder / recipe.name / f"seed-{seed}"
        if journal.result(label) is None or not place.is_dir():
            started = time.process_time()
            model = new_model(
                *sizes, seed, hidden_size=recipe.hidden, n_layer=recipe.layers, n_head=1, max_ep_len=recipe.max_ep_len
            )

            def count(update: int, loss: float, label: str = label) -> None:
                on_progress(update, recipe.schedule.updates, f"{label}: loss {loss:.4f}")

            loss = learn(model, draw(seed), recipe.schedule, seed, count)
            save_checkpoint(model, metadata, place)
            journal.add(label, {"loss": loss, "cpu_seconds": round(time.process_time() - started, 1)})
        if journal.result(f"{label}/trial") is None:
            agent_model = load_checkpoint(label, str(place), dtype=torch.float32).agent_model
            journal.add(
                f"{label}/trial", {**try_model(agent_model, metadata, label, on_progress), **extra(agent_model)}
            )


def try_model(
    agent_model: AgentModel,
    metadata: CheckpointMetadata,
    label: str,
    on_progress: OnProgress,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns of a model with the memory it was trained for: its window, or everything."""
    agent: Agent = (
        WindowAgent(agent_model, metadata.window) if metadata.memory == "window" else CacheAgent(agent_model, None)
    )
    make = environment_maker(metadata.environment, **(metadata.options if options is None else options))
    episodes = list(
        rollout(
            make,
            agent,
            range(TRIAL_SEED, TRIAL_SEED + TRIAL_EPISODES),
            Target(metadata.target, metadata.scale, metadata.mode),
            batch=TRIAL_EPISODES,
            on_progress=lambda step, running: on_progress(
                step + 1, 1000, f"{label}: trial, {running} episodes running"
            ),
        )
    )
    return {
        "memory": metadata.memory if metadata.memory == "window" else "full cache",
        "returns": [round(episode.total, 2) for episode in episodes],
        "lengths": [episode.length for episode in episodes],
    }


def write_card(
    recipe: Recipe,
    metadata: CheckpointMetadata,
    data: dict[str, Any],
    folder: Path,
    journal: StageJournal,
    origin: str = "",
) -> None:
    """Writes `card.json` and `README.md` of a family: data, training, trials.

    Args:
        recipe: What was trained.
        metadata: How to roll it out.
        data: What it was trained on, in plain JSON types.
        folder: Of all families.
        journal: Holds what came out of each model.
        origin: Of the policies behind the data, and their licence.
    """
    place = folder / recipe.name
    seeds = sorted(int(path.name[5:]) for path in place.glob("seed-*"))
    models = {}
    for seed in seeds:
        label = f"{recipe.name}/seed-{seed}"
        models[f"seed-{seed}"] = {**(journal.result(label) or {}), "trial": journal.result(f"{label}/trial")}
    schedule = recipe.schedule
    card = {
        "name": recipe.name,
        "environment": metadata.environment,
        "target": metadata.target,
        "target_tier": recipe.target_tier,
        "scale": metadata.scale,
        "window": recipe.steps,
        "memory": recipe.memory,
        "sizes": {"hidden": recipe.hidden, "layers": recipe.layers, "heads": 1, "max_ep_len": recipe.max_ep_len},
        "training": {
            "class": "transformers.DecisionTransformerModel",
            "updates": schedule.updates,
            "windows_per_update": schedule.batch,
            "learning_rate": schedule.rate,
            "from_start": recipe.from_start,
            "first_weight": recipe.first_weight,
            "seeds": seeds,
        },
        "data": data,
        **({"policies_from": origin} if origin else {}),
        "models": models,
    }
    replace_text(place / "card.json", json.dumps(card, indent=1) + "\n")
    replace_text(place / "README.md", _readme(card, metadata))


def _readme(card: dict[str, Any], metadata: CheckpointMetadata) -> str:
    lines = [
        f"# {card['name']}",
        "",
        f"Decision Transformers for {card['environment']} {metadata.options or ''}".rstrip()
        + f", trained on windows of {card['window']} steps; made by `namm-xmodal prepare rl`. Weights in float16.",
        "",
        f"Target {metadata.target:g}{_reason(card)}, returns divided by {metadata.scale:g}; the states' statistics stand "
        "in config.json.",
        "",
        "| data | episodes | steps | return, mean ± deviation | policies (mean return of 5 noise-free episodes) |",
        "|---|---|---|---|---|",
    ]
    for tier, each in card["data"].items():
        policies = ", ".join(f"{name} ({mean:g})" for name, mean in each.get("policies", {}).items())
        lines.append(
            f"| {tier} | {each['episodes']} | {each['steps']} | {each['return_mean']:g} ± {each['return_std']:g} "
            f"| {policies or each.get('about', '')} |"
        )
    if "policies_from" in card:
        lines += ["", f"These policies come from {card['policies_from']}; none of their weights are in here."]
    tried = min(len(each["trial"]["returns"]) for each in card["models"].values())
    lines += [
        "",
        f"Each model was tried on {tried} episodes (seeds {TRIAL_SEED} to {TRIAL_SEED + tried - 1}):",
        "",
        "| model | memory | return, mean ± deviation | d4rl score |",
        "|---|---|---|---|",
    ]
    known = metadata.environment.rsplit("/", 1)[-1].split("-")[0].lower() in D4RL
    for name, each in card["models"].items():
        returns = np.array(each["trial"]["returns"])
        score = f"{d4rl(metadata.environment)(returns).mean():.1f}" if known else "none"
        memory = each["trial"]["memory"]
        lines.append(f"| {name} | {memory} | {returns.mean():.4g} ± {returns.std():.3g} | {score} |")
    return "\n".join(lines) + "\n"


def _reason(card: dict[str, Any]) -> str:
    tier = card["target_tier"]
    return f" (90th percentile of the {tier} tier's returns)" if tier in card["data"] else ""
