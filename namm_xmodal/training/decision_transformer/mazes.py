"""Data and recipe of the T-maze's Decision Transformers: right demonstrations only, corridors that grow.

With half of the demonstrations wrong, what to do is an exclusive-or of cue and return, and a fixed corridor and an
unweighted loss leave it at chance: so the demonstrations are right, lengths vary, and the turn weighs more than the walk.
"""

from collections.abc import Callable

import numpy as np

from namm_xmodal.envs.tmaze import TMAZE, TMaze, demonstrate
from namm_xmodal.envs.trajectories import Trajectory
from namm_xmodal.training.decision_transformer.learn import Schedule
from namm_xmodal.training.decision_transformer.recipes import Recipe
from namm_xmodal.training.decision_transformer.windows import Batch, Windows

SHORTEST = 4
STAGES = ((60, 0.5), (220, 1.0))
"""Longest corridor until a share of the updates is done."""
DISTRACTORS = (0.0, 0.25)
DEMONSTRATIONS = 400  # per stage
LAST_WEIGHT = 10.0

TMAZE_RECIPE = Recipe(
    name="tmaze",
    environment=TMAZE,
    options=(("length", 60),),
    steps=STAGES[-1][0] + 1,
    memory="cache",
    schedule=Schedule(updates=300, batch=32),
    hidden=64,
    layers=2,
    scale=1.0,
    from_start=1.0,
)


def maze_windows(recipe: Recipe, seed: int) -> Callable[[np.random.Generator, int, int], Batch]:
    """What `learn` draws from: whole episodes of the stage under way.

    Args:
        recipe: Decides when a stage is over.
        seed: Of the demonstrations.
    """
    stages = []
    for number, (longest, share) in enumerate(STAGES):
        episodes = demonstrations(np.random.default_rng((seed, number)), longest, DEMONSTRATIONS)
        windows = Windows(
            episodes,
            None,
            steps=longest + 1,
            scale=recipe.scale,
            max_ep_len=recipe.max_ep_len,
            last_weight=LAST_WEIGHT,
            from_start=recipe.from_start,
            by_length=False,
        )
        stages.append((share * recipe.schedule.updates, windows))

    def draw(rng: np.random.Generator, count: int, update: int) -> Batch:
        windows = next(windows for end, windows in stages if update < end)
        return windows.draw(rng, count)

    return draw


def demonstrations(rng: np.random.Generator, longest: int, count: int) -> list[Trajectory]:
    """Right ways through mazes of random lengths, half of them with distractors."""
    made = []
    for i in range(count):
        maze = TMaze(int(rng.integers(SHORTEST, longest + 1)), DISTRACTORS[i % len(DISTRACTORS)])
        made.append(demonstrate(maze, int(rng.integers(2**31))))
    return made
