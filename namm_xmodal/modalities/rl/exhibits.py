"""One episode of the first model: which steps' returns, states and actions are still remembered when it ends."""

from collections.abc import Sequence

import numpy as np

from namm_xmodal.envs.rollout import rollout
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit, KeptMap, Pictures, png
from namm_xmodal.modalities.rl.film import memory_picture
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.session import RlSession
from namm_xmodal.modalities.rl.watching import Watched

LOOKS = 6


def episode_exhibits(section: RlSection, arms: Sequence[Arm]) -> list[Exhibit]:
    """Pictures of the memory along an episode, and a map of its end, for each arm with a cache.

    Args:
        section: Its first model plays its first episode.
        arms: Which to show.
    """
    session = RlSession(section)
    player = next(iter(session.players.values()))
    found: list[Exhibit] = []
    for arm in arms:
        if arm.baseline is not None:
            continue
        policy = session.policy(arm, player, lambda step, running: None)
        agent = Watched(session.agent(arm, player, policy), every=max(1, section.max_steps // (8 * LOOKS)))
        (episode,) = rollout(player.make, agent, [section.seed], player.target, max_steps=section.max_steps, batch=1)
        if not agent.looks:  # the environment did not start
            continue
        looks = [agent.looks[at] for at in np.unique(np.linspace(0, len(agent.looks) - 1, LOOKS).round().astype(int))]
        found.append(
            Pictures(
                f"{player.label} in {episode.environment}, return {episode.total:.0f} of {episode.length} steps",
                f"{arm.label}, {arm.size}",
                tuple(f"step {step}" for step, _ in looks),
                tuple(png(memory_picture(remembered, episode.length)) for _, remembered in looks),
                "Steps from left to right, layers from top to bottom: returns orange, states blue, actions green; evicted "
                "ones are grey.",
            )
        )
        found.append(KeptMap("Kept at the end", f"{arm.label}, {arm.size}", "layer", "kv head", agent.shares))
    return found
