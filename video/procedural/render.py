"""Draws a scene: textured noisy background, coloured shapes with soft edges, one white sign."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.video.procedural.scene import Event, Scene
from namm_xmodal.video.procedural.words import COLOURS

_SIGN = 0.27
"""Side of the sign's field, of the picture's side."""


@dataclass(frozen=True)
class Rendering:
    """Pictures and what covers each pixel.

    Attributes:
        frames: (T, side, side, 3) uint8.
        shape_cover: (T, side, side) float32 in [0, 1].
        sign_cover: (side, side) bool, the field of the sign (in `scene.sign_frame` only).
    """

    frames: NDArray[np.uint8]
    shape_cover: NDArray[np.float32]
    sign_cover: NDArray[np.bool_]


def render(scene: Scene, rng: np.random.Generator, side: int) -> Rendering:
    """Draws every frame.

    Args:
        scene: What to draw.
        rng: Texture and noise.
        side: Width and height in pixels, at least 32.
    """
    ground = _background(rng, side)
    frames = np.repeat(ground[None], scene.frames, axis=0)  # (T, side, side, 3)
    cover = np.zeros((scene.frames, side, side), np.float32)
    for event in scene.events:
        colour = np.array(COLOURS[event.colour], np.float32) * rng.uniform(0.85, 1.05)
        for frame in range(event.start, event.stop):
            cover[frame] = _shape(event, frame, side)
            share = cover[frame][..., None]
            frames[frame] = frames[frame] * (1 - share) + colour * share
    frames += rng.normal(0, 7, (scene.frames, side, side, 1)).astype(np.float32)
    field, strokes = _sign(scene, side)
    frames[scene.sign_frame][field] = 15
    frames[scene.sign_frame][strokes] = 250
    return Rendering(np.clip(frames, 0, 255).astype(np.uint8), cover, field)


def _background(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """(side, side, 3): a muted colour with smooth blotches."""
    base = rng.uniform(60, 140) + rng.uniform(-15, 15, 3)
    coarse = rng.normal(0, 16, (7, 7))
    at = np.linspace(0, 6, side)
    low = np.minimum(at.astype(int), 5)
    part = at - low
    rows = coarse[low] * (1 - part[:, None]) + coarse[low + 1] * part[:, None]  # (side, 7)
    blotches = rows[:, low] * (1 - part) + rows[:, low + 1] * part  # (side, side)
    picture: NDArray[np.float32] = (base + blotches[..., None]).astype(np.float32)
    return picture


def _shape(event: Event, frame: int, side: int) -> NDArray[np.float32]:
    """(side, side) in [0, 1]: how much of each pixel the shape covers, by its distance to the outline."""
    cx, cy = event.centre(frame)
    grid = np.arange(side, dtype=np.float32) + 0.5
    x, y = (grid - cx * side)[None, :], (grid - cy * side)[:, None]
    r = event.radius * side
    away: Any
    if event.shape == "circle":
        away = np.sqrt(x**2 + y**2) - r
    elif event.shape == "square":
        away = np.maximum(abs(x), abs(y)) - 0.88 * r
    elif event.shape == "triangle":
        away = np.maximum(0.874 * (abs(x) - 0.555 * (y + r)), y - 0.8 * r)
    else:
        long, short = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
        away = np.maximum(long - r, short - 0.32 * r)
    cover: NDArray[np.float32] = np.clip(0.5 - away, 0, 1).astype(np.float32)
    return cover


def _sign(scene: Scene, side: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(side, side) twice: the dark field in one corner, and the white strokes on it."""
    size, margin = round(_SIGN * side), max(1, side // 32)
    right, bottom = scene.corner
    left, top = (side - size - margin if right else margin), (side - size - margin if bottom else margin)
    u = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.broadcast_arrays(u[None, :], u[:, None])
    strokes = {
        "bar": (abs(y) < 0.3) & (abs(x) < 0.85),
        "pole": (abs(x) < 0.3) & (abs(y) < 0.85),
        "box": (np.maximum(abs(x), abs(y)) < 0.85) & (np.maximum(abs(x), abs(y)) > 0.5),
        "slash": (abs(x - y) < 0.4) & (np.maximum(abs(x), abs(y)) < 0.9),
    }[scene.sign]
    field, drawn = np.zeros((side, side), bool), np.zeros((side, side), bool)
    field[top : top + size, left : left + size] = True
    drawn[top : top + size, left : left + size] = strokes
    return field, drawn
