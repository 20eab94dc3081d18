"""`namm-xmodal rollout --video`: films one episode, with its memory beside it."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from namm_xmodal.config import EvaluationConfig


def film(settings: "EvaluationConfig", wanted: str) -> None:
    """Writes `<policy>.mp4` and `<policy>.png` into the output folder.

    Args:
        settings: What to play; has the section `rl`.
        wanted: Label of a policy, with `:budget` behind it if there are several.

    Raises:
        ConfigError: If the label matches no arm, or more than one.
    """
    from namm_xmodal.cli.console import console, notice, progress
    from namm_xmodal.evaluation.plan import make_plan
    from namm_xmodal.modalities.rl.film import film_episode, find_arm
    from namm_xmodal.modalities.rl.session import RlSession
    from namm_xmodal.modalities.table import MODALITIES

    (plan,) = make_plan(settings, MODALITIES)
    arm, section = find_arm(plan.arms, wanted), plan.section
    plan.modality.check(section, plan.items, (arm,), notice)
    session = RlSession(section)
    loaded = next(iter(session.loaded_agents.values()))
    with progress("filming") as on_progress:

        def on_step(step: int, running: int) -> None:
            on_progress(step + 1, section.max_steps, f"{loaded.label} · {arm.label} {arm.size}")

        agent = session.agent(arm, loaded, session.policy(arm, loaded, on_step))
        # A label may hold anything; the files stay in the folder.
        name = re.sub(r"[^\w.-]+", "-", f"{arm.label}-{arm.size.replace('%', 'pc')}")
        made, episode = film_episode(agent, loaded, section, settings.folder, name, on_step)
    for path in made:
        console.print(f"{path}: one episode, seed {section.seed}, return {episode.total:.0f}", soft_wrap=True)
    if episode.message:
        notice(f"the episode failed at {episode.message}")
