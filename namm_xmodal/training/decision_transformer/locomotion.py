"""Policies, tiers and Decision Transformers of one MuJoCo environment, stage by stage."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.envs.behaviour.archives import read_policies
from namm_xmodal.envs.behaviour.ars import RECIPES, search
from namm_xmodal.envs.behaviour.policy import BehaviourPolicy
from namm_xmodal.envs.behaviour.record import mean_return
from namm_xmodal.envs.behaviour.tiers import TIERS, Rated, Tier, choose, record_tier
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.minari_data import has_minari, read_minari, write_minari
from namm_xmodal.envs.normalise import d4rl
from namm_xmodal.envs.trajectories import Trajectories, joined
from namm_xmodal.errors import DataError
from namm_xmodal.training.decision_transformer.families import train_family
from namm_xmodal.training.decision_transformer.journal import StageJournal
from namm_xmodal.training.decision_transformer.recipes import LOCOMOTION, Recipe
from namm_xmodal.training.decision_transformer.windows import Windows
from namm_xmodal.trust.files import MIB, read_bytes
from namm_xmodal.types import OnProgress

RATING_EPISODES = 5


@dataclass(frozen=True)
class Behaviour:
    """Where the behaviour comes from and how much of it is recorded.

    Attributes:
        policies: Folder of policies; None evolves them by ARS.
        episodes: Per tier.
        seed: Of search and recording.
        steps: Environment steps of the search, instead of the recipe's.
        origin: Where the folder's policies come from and under which licence, for the cards.
    """

    policies: Path | None
    episodes: int = 100
    seed: int = 0
    steps: int | None = None
    origin: str = ""

    @property
    def label(self) -> str:
        """Part of the datasets' names: data of different origin never share one."""
        if self.policies is None:
            return f"ars-{self.steps or 'full'}-{self.episodes}-{self.seed}"
        files = sorted(path for path in self.policies.rglob("*") if path.suffix in (".npz", ".zip", ".pkl"))
        content = hashlib.sha256()
        for path in files:
            content.update(read_bytes(path, error=DataError, expected="a behaviour policy", most=256 * MIB))
        return f"{content.hexdigest()[:8]}-{self.episodes}-{self.seed}"


def dataset_name(environment: str, tier: Tier, behaviour: Behaviour) -> str:
    """Of a tier's Minari dataset."""
    return f"namm-xmodal/{environment}/{tier}-{behaviour.label}-v0"


def make_tiers(
    environment: str, behaviour: Behaviour, folder: Path, journal: StageJournal, on_progress: OnProgress
) -> dict[Tier, Trajectories]:
    """Records all tiers that are not there yet, and reads them back.

    Args:
        environment: A name of `LOCOMOTION`.
        behaviour: Who plays.
        folder: For the state of a search.
        journal: Notes which policies made which tier.
        on_progress: Called as `on_progress(done, total, what)`.
    """
    gym_id = LOCOMOTION[environment][0].environment
    make = environment_maker(gym_id)
    missing: list[Tier] = [each for each in TIERS if not has_minari(dataset_name(environment, each, behaviour))]
    if missing:
        rated = _rated(environment, behaviour, folder, make, on_progress)
        chosen = choose(rated)
        means = {each.policy.name: round(each.mean, 1) for each in rated}
        for tier in missing:
            policies = chosen[tier]

            def count(done: int, tier: Tier = tier) -> None:
                on_progress(done, behaviour.episodes, f"{environment}: {tier} tier")

            data = record_tier(make, tier, policies, behaviour.episodes, behaviour.seed, gym_id, count)
            name = dataset_name(environment, tier, behaviour)
            reference = d4rl(gym_id)
            write_minari(name, data, description=data.source, reference=(reference.low, reference.high))
            journal.add(
                f"{environment}/{tier}/{behaviour.label}",
                {
                    "dataset": name,
                    "policies": {policy.name: means[policy.name] for policy in policies},
                    "digests": {policy.name: digest(policy) for policy in policies},
                },
            )
    return {tier: read_minari(dataset_name(environment, tier, behaviour)) for tier in TIERS}


def _rated(
    environment: str, behaviour: Behaviour, folder: Path, make: Callable[[], Any], on_progress: OnProgress
) -> list[Rated]:
    if behaviour.policies is None:
        recipe = RECIPES[environment]
        recipe = recipe if behaviour.steps is None else replace(recipe, steps=behaviour.steps)
        place = folder / "ars" / f"{environment}-{behaviour.seed}"
        place.mkdir(parents=True, exist_ok=True)
        return [Rated(rung.policy, rung.mean) for rung in search(make, recipe, behaviour.seed, place, on_progress)]
    found = read_policies(behaviour.policies, environment)
    rated = []
    for number, policy in enumerate(found):
        on_progress(number, len(found), f"{environment}: rating {policy.name}")
        rated.append(Rated(policy, mean_return(make, policy, RATING_EPISODES, 0)))
    return rated


def train_on(
    recipe: Recipe,
    tiers: dict[Tier, Trajectories],
    seeds: Sequence[int],
    folder: Path,
    journal: StageJournal,
    on_progress: OnProgress,
) -> CheckpointMetadata:
    """Trains a family on windows of all tiers; returns what a rollout must know of it.

    Args:
        recipe: What to train.
        tiers: The data. The target is the 90th percentile of the returns of the recipe's tier.
        seeds: See `train_family`.
        folder: See `train_family`.
        journal: See `train_family`.
        on_progress: See `train_family`.
    """
    data = joined(list(tiers.values()), "all tiers")
    mean, std = data.state_statistics()
    returns = data.returns()
    metadata = CheckpointMetadata(
        environment=recipe.environment,
        target=_rounded(float(np.quantile(tiers[recipe.target_tier].returns(), 0.9))),
        scale=recipe.scale,
        window=recipe.steps,
        memory=recipe.memory,  # type: ignore[arg-type]
        state_mean=tuple(mean.tolist()),
        state_std=tuple(std.tolist()),
        returns=(float(returns.min()), float(returns.max())),
    )
    windows = Windows(
        data.episodes,
        (np.array(metadata.state_mean), np.array(metadata.state_std)),
        steps=recipe.steps,
        scale=recipe.scale,
        max_ep_len=recipe.max_ep_len,
        first_weight=recipe.first_weight,
        from_start=recipe.from_start,
    )
    sizes = data.state_dim, data.act_dim
    train_family(
        recipe,
        metadata,
        sizes,
        lambda seed: lambda rng, count, update: windows.draw(rng, count),
        seeds,
        folder,
        journal,
        on_progress,
    )
    return metadata


def _rounded(target: float) -> float:
    """To hundreds; below a thousand to two digits, since the returns of a weak policy would become 0."""
    digits = math.floor(math.log10(abs(target))) - 1 if target else 0
    return round(target, -min(2, digits))


def describe_tiers(tiers: dict[Tier, Trajectories], environment: str) -> dict[str, Any]:
    """Returns of each tier, for cards."""
    described: dict[str, Any] = {}
    for tier, data in tiers.items():
        returns = data.returns()
        described[tier] = {
            "dataset": data.source,
            "episodes": len(data.episodes),
            "steps": data.steps,
            "return_mean": round(float(returns.mean()), 1),
            "return_std": round(float(returns.std()), 1),
            "return_max": round(float(returns.max()), 1),
            "d4rl_mean": round(float(d4rl(environment)(returns).mean()), 1),
        }
    return described


def digest(policy: BehaviourPolicy) -> str:
    """Twelve hex digits over a policy's weights."""
    parts: Sequence[Any] = (*policy.weights, *policy.biases)
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in parts)).hexdigest()[:12]
