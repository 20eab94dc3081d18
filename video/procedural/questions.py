"""Questions about a scene, with options, answer and the frames that hold the evidence."""

from dataclasses import dataclass

import numpy as np

from namm_xmodal.video.procedural.scene import MOVES_WITHIN, Scene
from namm_xmodal.video.procedural.words import COLOURS, DIRECTIONS, NUMBERS, SHAPES, SIGNS


@dataclass(frozen=True)
class ClipQuestion:
    """One question.

    Attributes:
        kind: One of `KINDS`.
        text: In words.
        options: Possible answers, one word each.
        answer: The right one.
        evidence: Frames that must be seen to answer, ascending.
    """

    kind: str
    text: str
    options: tuple[str, ...]
    answer: str
    evidence: tuple[int, ...]


def questions_about(scene: Scene, rng: np.random.Generator) -> list[ClipQuestion]:
    """One question of every kind that the scene can answer, in random order.

    Scenes of one event have no "after"; "colour" asks by a shape that occurs once; "direction" needs an event that lasts.
    """
    colours, events = tuple(COLOURS), scene.events
    whole = tuple(frame for event in events for frame in range(event.start, event.stop))
    first, last = events[0], events[-1]

    def span(event: int) -> tuple[int, ...]:
        return tuple(range(events[event].start, events[event].stop))

    found = [
        ClipQuestion("first", "what colour comes first?", colours, first.colour, span(0)),
        ClipQuestion("last", "what colour comes last?", colours, last.colour, span(len(events) - 1)),
        ClipQuestion("count", "how many shapes come by?", NUMBERS, NUMBERS[len(events) - 1], whole),
        ClipQuestion("needle", "which sign is shown?", SIGNS, scene.sign, (scene.sign_frame,)),
    ]
    if len(events) > 1:
        at = int(rng.integers(len(events) - 1))
        text = f"what colour comes after {events[at].colour}?"
        found.append(ClipQuestion("after", text, colours, events[at + 1].colour, span(at) + span(at + 1)))
    shapes = [event.shape for event in events]
    once = [at for at, shape in enumerate(shapes) if shapes.count(shape) == 1]
    if once:
        at = int(rng.choice(once))
        text = f"what colour is the {shapes[at]}?"
        found.append(ClipQuestion("colour", text, colours, events[at].colour, span(at)))
    at = int(rng.integers(len(events)))
    found.append(ClipQuestion("shape", f"what shape is {events[at].colour}?", SHAPES, shapes[at], span(at)))
    moving = [at for at, event in enumerate(events) if event.stop - event.start >= MOVES_WITHIN]
    if moving:
        at = int(rng.choice(moving))
        text = f"where does {events[at].colour} move?"
        found.append(ClipQuestion("direction", text, tuple(DIRECTIONS), events[at].direction, span(at)))
    rng.shuffle(found)
    return found
