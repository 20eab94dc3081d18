"""A video of one episode: the body, and beside it which steps' returns, states and actions each layer still remembers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.agents.cache_agent import CacheActor
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.envs.agent import Agent, Turn
from namm_xmodal.errors import ConfigError, MissingDependencyError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.modalities.rl.players import Player
from namm_xmodal.modalities.rl.section import RlSection

Picture = NDArray[np.uint8]
EVERY = 4  # steps between frames: rendering on a processor takes most of the time
FRAMES_PER_SECOND = 15
WIDTH, HEIGHT = 240, 240
MEMORY_WIDTH = 400
COLOURS = np.array([[213, 94, 0], [0, 114, 178], [0, 158, 115]])  # returns, states, actions
EMPTY, GONE = 255, 226  # not lived yet, forgotten


def find_arm(arms: Sequence[Arm], wanted: str) -> Arm:
    """The arm that `policy` or `policy:budget` names.

    Raises:
        ConfigError: If none is meant, or several, or one without a cache.
    """
    label, _, budget = wanted.partition(":")
    filmed = [arm for arm in arms if arm.baseline is None]
    found = [arm for arm in filmed if arm.label == label and (not budget or repr(arm.budget) == budget)]
    if len(found) != 1:
        names = [arm.label if arm.budget is None else f"{arm.label}:{arm.budget!r}" for arm in filmed]
        raise ConfigError(f"--video {wanted}: expected one of {', '.join(names)}")
    return found[0]


def film_episode(
    agent: Agent, player: Player, config: RlSection, folder: Path, name: str, told: Callable[[int, int], None]
) -> tuple[list[Path], float]:
    """Plays the episode of seed `config.seed` and films it.

    Args:
        agent: Who acts, with a cache.
        player: Its model and environment.
        config: Clock, protection, steps.
        folder: Where the video and a still go.
        name: Of the files.
        told: Called with the number of the step, and 1.

    Returns:
        The files, and the return of the episode.

    Raises:
        ConfigError: If the environment cannot draw itself.
        MissingDependencyError: If PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise MissingDependencyError("a video", "video") from None
    folder.mkdir(parents=True, exist_ok=True)
    video, still = folder / f"{name}.mp4", folder / f"{name}.png"
    # The camera named in MuJoCo's locomotion models follows the body; the default one watches it walk away.
    world = player.make(render_mode="rgb_array", width=WIDTH, height=HEIGHT, camera_name="track")
    part = video.with_suffix(".part.mp4")
    total, picture = 0.0, None
    try:
        with av.open(str(part), "w") as container, agent.begin(1) as actor:
            assert isinstance(actor, CacheActor)
            stream: Any = container.add_stream("h264", rate=FRAMES_PER_SECOND)
            stream.width, stream.height, stream.pix_fmt = WIDTH + MEMORY_WIDTH, HEIGHT, "yuv420p"
            stream.options = {"crf": "30", "preset": "slow"}
            for step, so_far, frame in _play(world, actor, player, config):
                told(step, 1)
                total = so_far
                if frame is not None:
                    picture = np.concatenate([frame, memory_picture(actor.remembered(), config.max_steps)], axis=1)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        part.replace(video)
    finally:
        part.unlink(missing_ok=True)
        world.close()
    if picture is None:
        raise ConfigError(f"max_steps={config.max_steps}: too short for a frame, expected at least {EVERY}")
    _write_png(picture, still)
    return [video, still], total


def _play(world: Any, actor: CacheActor, player: Player, config: RlSection) -> Any:
    """Yields (step, return so far, frame or None) after each step."""
    observation, _ = world.reset(seed=config.seed)
    target, wanted, total = player.target, player.target.total / player.target.scale, 0.0
    actions = None
    for step in range(config.max_steps):
        actions = actor.act(Turn(step, np.asarray(observation, dtype=np.float64)[None], np.array([wanted]), actions))
        space = world.action_space
        action = np.clip(actions[0], space.low, space.high).astype(space.dtype)
        observation, reward, terminated, truncated, _ = world.step(action)
        total += float(reward)
        if target.mode == "decrement":
            wanted -= float(reward) / target.scale
        ended = terminated or truncated
        yield step, total, world.render() if step % EVERY == EVERY - 1 or ended else None
        if ended:
            return


def memory_picture(remembered: list[NDArray[np.int64]], steps: int, height: int = HEIGHT) -> Picture:
    """(height, MEMORY_WIDTH, 3): for each layer three bands over the steps of the episode, returns, states and actions.

    Args:
        remembered: Original indices of the tokens in each layer's memory, of all its heads together; the number of heads
            that remember a token shows as its strength.
        steps: Steps that the picture is wide enough for.
        height: In pixels.
    """
    layers = len(remembered)
    canvas = np.full((height, MEMORY_WIDTH, 3), EMPTY, dtype=np.uint8)
    seen = max((int(each.max()) + 1 for each in remembered if len(each)), default=0)
    gap, band = 10, (height - 10 * (layers + 1)) // (3 * layers)
    for layer, index in enumerate(remembered):
        heads = max(1, int(np.bincount(index).max())) if len(index) else 1
        for kind in range(3):
            lived = np.arange(kind, seen, 3) // 3
            held = np.bincount(index[index % 3 == kind] // 3, minlength=max(steps, len(lived) + 1)) / heads
            top = gap + layer * (3 * band + gap) + kind * band
            for step in lived:  # newer steps may share a column with older ones: the strongest shows
                left = step * MEMORY_WIDTH // steps
                right = max(left + 1, (step + 1) * MEMORY_WIDTH // steps)
                column = canvas[top : top + band - 1, left:right]
                colour = GONE + (COLOURS[kind] - GONE) * held[step]
                if (column == EMPTY).all() or held[step] > 0:
                    column[:] = colour.astype(np.uint8)
    return canvas


def _write_png(picture: Picture, path: Path) -> None:
    from matplotlib.image import imsave

    with replacing(path) as part:
        imsave(part, picture)
