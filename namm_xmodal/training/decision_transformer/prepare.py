"""Makes policies, datasets and Decision Transformers from scratch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.envs.tmaze import TMAZE
from namm_xmodal.training.decision_transformer.families import train_family, write_card
from namm_xmodal.training.decision_transformer.journal import StageJournal
from namm_xmodal.training.decision_transformer.locomotion import Behaviour, describe_tiers, make_tiers, train_on
from namm_xmodal.training.decision_transformer.mazes import DEMONSTRATIONS, STAGES, TMAZE_RECIPE, maze_windows
from namm_xmodal.training.decision_transformer.recipes import LOCOMOTION
from namm_xmodal.types import OnProgress

ENVIRONMENTS = (*LOCOMOTION, "tmaze")


def families_of(environments: Sequence[str]) -> list[str]:
    """Names of the families that are trained for these of `ENVIRONMENTS`; each is a folder."""
    recipes = [recipe for name in environments for recipe in LOCOMOTION.get(name, (TMAZE_RECIPE,))]
    return [recipe.name for recipe in recipes]


def prepare_locomotion(
    environment: str,
    behaviour: Behaviour,
    windows: Sequence[int],
    seeds: Sequence[int],
    folder: Path,
    on_progress: OnProgress,
    updates: int | None = None,
) -> list[Path]:
    """Policies, tiers and models of one MuJoCo environment; returns the families' folders.

    Args:
        environment: A name of `LOCOMOTION`.
        behaviour: Who makes the data.
        windows: K of the families to train: 20, 200 or both.
        seeds: One model each.
        folder: Where everything goes, and what is there already is not made again.
        on_progress: Called as `on_progress(done, total, what)`.
        updates: Instead of the recipe's.
    """
    journal = StageJournal(folder / "journal.jsonl")
    source = environment.split("-")[0]
    whole = make_tiers(source, behaviour, folder, journal, on_progress)
    described = describe_tiers(whole, LOCOMOTION[source][0].environment)
    for tier, each in described.items():
        each.update(journal.result(f"{source}/{tier}/{behaviour.label}") or {})
    made = []
    for recipe in (each for each in LOCOMOTION[environment] if each.steps in windows):
        recipe = recipe.shortened(updates)
        metadata = train_on(
            recipe, {tier: data.seen(recipe.seen) for tier, data in whole.items()}, seeds, folder, journal, on_progress
        )
        write_card(recipe, metadata, described, folder, journal, behaviour.origin)
        made.append(folder / recipe.name)
    return made


def prepare_tmaze(
    seeds: Sequence[int], folder: Path, on_progress: OnProgress, updates: int | None = None
) -> list[Path]:
    """Demonstrations and models of the T-maze; returns the family's folder."""
    journal = StageJournal(folder / "journal.jsonl")
    recipe = TMAZE_RECIPE.shortened(updates)
    metadata = CheckpointMetadata(
        environment=TMAZE,
        options={name: int(value) for name, value in recipe.options},
        target=1.0,
        scale=recipe.scale,
        window=recipe.steps,
        memory="cache",
        returns=(1.0, 1.0),
    )
    train_family(recipe, metadata, (2, 2), lambda seed: maze_windows(recipe, seed), seeds, folder, journal, on_progress)
    about = f"right demonstrations, corridors of 4 to {STAGES[0][0]}, then to {STAGES[1][0]} steps"
    data: dict[str, Any] = {
        "demonstrations": {
            "episodes": len(STAGES) * DEMONSTRATIONS,
            "steps": "drawn anew for each seed",
            "return_mean": 1.0,
            "return_std": 0.0,
            "about": about,
        }
    }
    write_card(recipe, metadata, data, folder, journal)
    return [folder / recipe.name]
