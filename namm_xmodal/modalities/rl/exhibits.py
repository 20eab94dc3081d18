"""What caches hold: for one episode at its end, and by kind and age over all episodes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from namm_xmodal.adapters.decision_transformer import KINDS
from namm_xmodal.agents.survivors import AGES
from namm_xmodal.envs.rollout import rollout
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit, KeptMap, Pictures, png
from namm_xmodal.evaluation.record import Record
from namm_xmodal.modalities.rl.film import memory_picture
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.session import RlSession
from namm_xmodal.modalities.rl.watching import Watched

LOOKS = 6
AGE_NAMES = (
    *(f"{low} to {high - 1}" if high - low > 1 else f"{low}" for low, high in pairwise((0, *AGES))),
    f"{AGES[-1]} and more",
)


def episode_exhibits(section: RlSection, arms: Sequence[Arm]) -> list[Exhibit]:
    """Pictures of the memory along an episode, and a map of its end, for each arm with a cache.

    Args:
        section: Its first model plays its first episode.
        arms: Which to show.
    """
    session = RlSession(section)
    loaded = next(iter(session.loaded_agents.values()))
    found: list[Exhibit] = []
    for arm in arms:
        if arm.baseline is not None:
            continue
        policy = session.policy(arm, loaded, lambda step, running: None)
        agent = Watched(session.agent(arm, loaded, policy), every=max(1, section.max_steps // (8 * LOOKS)))
        (episode,) = rollout(loaded.make, agent, [section.seed], loaded.target, max_steps=section.max_steps, batch=1)
        if not agent.looks:  # the environment did not start
            continue
        looks = [agent.looks[at] for at in np.unique(np.linspace(0, len(agent.looks) - 1, LOOKS).round().astype(int))]
        found.append(
            Pictures(
                f"{loaded.label} in {episode.environment}, return {episode.total:.0f} of {episode.length} steps",
                arm.name,
                tuple(f"step {step}" for step, _ in looks),
                tuple(png(memory_picture(remembered, episode.length)) for _, remembered in looks),
                "Steps from left to right, layers from top to bottom: returns orange, states blue, actions green; evicted "
                "ones are grey.",
            )
        )
        found.append(KeptMap("Kept at the end", arm.name, "layer", "kv head", agent.shares))
    return found


def survivors(records: Sequence[Record]) -> list[KeptMap]:
    """Shares in memory by kind and age, over layers, heads and looks at every episode, for each arm that was watched.

    Args:
        records: Of one section.
    """
    counts: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record.facts.survivors is not None:
            counts.setdefault(f"{record.policy}, {record.size}", []).append(record.facts.survivors)
    found = []
    ages = _ages_reached([look for looks in counts.values() for look in looks])
    for arm, looks in counts.items():
        kept = np.sum([np.mean(look["kept"], axis=0) for look in looks], axis=0)  # (kinds, bins)
        fed = np.sum([look["fed"] for look in looks], axis=0)
        shares = tuple(
            tuple(round(held / given, 4) if given else None for held, given in zip(*row, strict=True))
            for row in zip(kept[:, :ages].tolist(), fed[:, :ages].tolist(), strict=True)
        )
        title = "In memory by kind and age"
        found.append(KeptMap(title, arm, "kind", "age in steps", shares, "survivors", KINDS, AGE_NAMES[:ages]))
    return found


def _ages_reached(looks: Sequence[dict[str, Any]]) -> int:
    """How many bins of age any token was in; at least one."""
    fed = np.sum([look["fed"] for look in looks], axis=(0, 1)) if looks else np.zeros(1)
    return max(1, len(np.trim_zeros(fed, "b")))
