"""`namm-xmodal rollout --video`: films one episode, with its memory beside it."""

import re
from pathlib import Path

from namm_xmodal.config import RolloutConfig
from namm_xmodal.rollouts.plan import Run


def film(config: RolloutConfig, plan: list[Run], wanted: str) -> None:
    """Writes `<policy>.mp4` and `<policy>.png` into the output folder.

    Args:
        config: What to play.
        plan: Its runs.
        wanted: Label of a policy, with `:budget` behind it if there are several.

    Raises:
        ConfigError: If no run, or more than one, is meant.
    """
    from namm_xmodal.cli.console import console, notice, progress
    from namm_xmodal.rollouts.film import film_episode, find_run
    from namm_xmodal.rollouts.players import load_players
    from namm_xmodal.rollouts.runner import prepared
    from namm_xmodal.rollouts.setups import find_setups

    run = find_run(plan, wanted)
    player = load_players(config, find_setups(config)[:1], notice)[0]
    with progress("filming") as advance:

        def told(step: int, running: int) -> None:
            advance(step + 1, config.max_steps, f"{player.label} · {run.label} {run.size}")

        ready = prepared(run, player, config, {}, told)
        # A label may hold anything; the files stay in the folder.
        name = re.sub(r"[^\w.-]+", "-", f"{run.label}-{run.size.replace('%', 'pc')}")
        made, episode = film_episode(ready, player, config, Path(config.output), name, told)
    for path in made:
        console.print(f"{path}: one episode, seed {config.seed}, return {episode.total:.0f}", soft_wrap=True)
    if episode.message:
        notice(f"the episode failed at {episode.message}")
