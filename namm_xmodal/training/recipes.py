"""What is trained, for which environment, how long: the recipes behind the shipped Decision Transformers."""

from dataclasses import dataclass

from namm_xmodal.envs.positions import HOPPER_POSITIONS, POSITIONS
from namm_xmodal.training.learn import Schedule

SHORT, LONG = 20, 200
"""Steps of a training window: the paper's, and the long-context one."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One family of Decision Transformers, one model per seed.

    Attributes:
        name: Of the family, by which `rollout` finds it.
        environment: Gymnasium id.
        options: Of the environment, when it is rolled out.
        steps: K, the steps of a training window.
        memory: What the family was trained for: `window` or `cache`.
        schedule: How long and how fast.
        hidden: Width.
        layers: Depth.
        scale: Returns are divided by it.
        max_ep_len: Timesteps that the model knows.
        seen: How many of the data's observations it sees, the first ones; None for all.
    """

    name: str
    environment: str
    steps: int
    memory: str
    schedule: Schedule
    options: tuple[tuple[str, float], ...] = ()
    hidden: int = 128
    layers: int = 3
    scale: float = 1000.0
    max_ep_len: int = 1000
    seen: int | None = None


def _locomotion(environment: str, short_updates: int, long_updates: int) -> tuple[Recipe, Recipe]:
    """Both families of an environment; as many steps per update in each."""
    name = environment.split("-")[0].lower()
    short = Schedule(updates=short_updates, batch=64, warm_up=50)
    long = Schedule(updates=long_updates, batch=6, warm_up=50)
    return (
        Recipe(name=f"{name}-short", environment=environment, steps=SHORT, memory="window", schedule=short),
        Recipe(name=f"{name}-long", environment=environment, steps=LONG, memory="cache", schedule=long),
    )


LOCOMOTION: dict[str, tuple[Recipe, ...]] = {
    "hopper": _locomotion("Hopper-v5", 300, 1000),
    "halfcheetah": _locomotion("HalfCheetah-v5", 400, 1000),
    "walker2d": _locomotion("Walker2d-v5", 400, 1000),
    # On Hopper's data without velocities: what two observations say together, one does not.
    "hopper-positions": (
        Recipe(
            name="hopper-positions",
            environment=HOPPER_POSITIONS,
            steps=LONG,
            memory="cache",
            schedule=Schedule(updates=1000, batch=6, warm_up=50),
            seen=POSITIONS,
        ),
    ),
}
"""By environment; what comes before a hyphen is the one whose data they are."""
