"""A video of one episode: the body, and beside it which steps' returns, states and actions each layer still remembers."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.agents.cache_agent import CacheActor
from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.envs.agent import Agent
from namm_xmodal.envs.episode import Episode
from namm_xmodal.envs.rollout import rollout
from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.extras import need
from namm_xmodal.modalities.rl.loaded_agents import LoadedAgent
from namm_xmodal.modalities.rl.section import RlSection

Picture = NDArray[np.uint8]
EVERY = 4  # steps between frames: rendering on a processor takes most of the time
FRAMES_PER_SECOND = 15
HEIGHT = 240
MEMORY_WIDTH = 400
COLOURS = np.array([[213, 94, 0], [0, 114, 178], [0, 158, 115]])  # returns, states, actions
EMPTY, GONE = 255, 226  # not lived yet, evicted


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
    agent: Agent,
    loaded: LoadedAgent,
    config: RlSection,
    folder: Path,
    name: str,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Path], Episode]:
    """Plays the episode of seed `config.seed` and films it.

    Args:
        agent: Who acts, with a cache.
        loaded: Its model and environment.
        config: Clock, protection, steps.
        folder: Where the video and a still go.
        name: Of the files.
        on_progress: Called with the number of the step, and 1.

    Returns:
        The files, and the episode; one that failed is filmed up to there.

    Raises:
        ConfigError: If the environment cannot draw itself, or the episode is too short for a frame.
        MissingDependencyError: If PyAV is not installed.
    """
    av = need("av", "a video")
    world = drawing(loaded)
    folder.mkdir(parents=True, exist_ok=True)
    video, still = folder / f"{name}.mp4", folder / f"{name}.png"
    picture: Picture | None = None
    try:
        with replacing(video) as part:
            with av.open(str(part), "w") as container, agent.begin(1) as actor:
                assert isinstance(actor, CacheActor)
                stream: Any = container.add_stream("h264", rate=FRAMES_PER_SECOND)
                stream.pix_fmt, stream.options = "yuv420p", {"crf": "30", "preset": "slow"}

                def draw(step: int, running: int) -> None:
                    nonlocal picture
                    on_progress(step, 1)
                    if step % EVERY != EVERY - 1 and running:
                        return
                    first = picture is None
                    frame = _frame(world, loaded.environment, 0 if first else stream.width - MEMORY_WIDTH)
                    picture = np.concatenate([frame, memory_picture(actor.remembered(), config.max_steps)], axis=1)
                    if first:
                        stream.height, stream.width = picture.shape[:2]
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))

                filmed = SimpleNamespace(begin=lambda episodes: nullcontext(actor))
                (episode,) = rollout(
                    lambda: world,
                    filmed,
                    [config.seed],
                    loaded.target,
                    max_steps=config.max_steps,
                    batch=1,
                    on_progress=draw,
                )
                if picture is not None:
                    container.mux(stream.encode())
            if picture is None:
                raise ConfigError(
                    episode.message or f"max_steps={config.max_steps}: too short for a frame, expected at least {EVERY}"
                )
    finally:
        world.close()
    _write_png(picture, still)
    return [video, still], episode


def drawing(loaded: LoadedAgent) -> Any:
    """The agent's environment with rendering.

    Raises:
        ConfigError: If it cannot.
    """
    world = loaded.make()
    modes = (world.metadata or {}).get("render_modes", [])
    world.close()
    if "rgb_array" not in modes:
        known = ", ".join(map(str, modes)) or "none"
        raise ConfigError(f"{loaded.environment}: cannot be rendered (render modes: {known}); --video needs rgb_array")
    # The camera named in MuJoCo's locomotion models follows the body; the default one watches it walk away.
    options = {"width": HEIGHT, "height": HEIGHT, "camera_name": "track"}
    trouble = ""
    for more in (options, {}):
        try:
            return loaded.make(render_mode="rgb_array", **more)
        except Exception as error:  # most environments know neither size nor camera
            trouble = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    raise ConfigError(f"{loaded.environment}: cannot be created with rendering ({trouble})")


def _frame(world: Any, environment: str, width: int) -> Picture:
    """(HEIGHT, width, 3): what the environment draws; as wide as it is to its height for a width of 0."""
    from av import VideoFrame

    try:
        drawn = world.render()
    except Exception as error:  # what a renderer without a display does
        hint = "; without a display, try MUJOCO_GL=egl" if hasattr(world.unwrapped, "mujoco_renderer") else ""
        raise ConfigError(
            f"{environment}: cannot be rendered here ({type(error).__name__}: {' '.join(str(error).split())[:120]}){hint}"
        ) from None
    if not isinstance(drawn, np.ndarray) or drawn.ndim != 3 or drawn.shape[2] != 3 or drawn.dtype != np.uint8:
        found = f"{drawn.dtype} of shape {drawn.shape}" if isinstance(drawn, np.ndarray) else type(drawn).__name__
        raise ConfigError(f"{environment}: renders {found}; expected (height, width, 3) of uint8")
    # Codecs want even sizes.
    width = width or min(4 * HEIGHT, max(2, 2 * round(drawn.shape[1] * HEIGHT / drawn.shape[0] / 2)))
    if drawn.shape[:2] == (HEIGHT, width):
        return drawn
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(drawn), format="rgb24")
    scaled: Picture = frame.reformat(width=width, height=HEIGHT).to_ndarray()
    return scaled


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
