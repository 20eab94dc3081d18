"""Questions about a composed clip; possible answers stand in the question, as in published benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from namm_xmodal.video.composed.clip import FEWEST, MOST, ComposedClip
from namm_xmodal.video.composed.pictures import KINDS as FOLDERS
from namm_xmodal.video.composed.pictures import Picture

KINDS = ("first", "last", "after", "count", "present", "kind", "describe")
COUNTS = ("two", "three", "four", "five")
OPTIONS = 4


@dataclass(frozen=True)
class ComposedQuestion:
    """A question.

    Attributes:
        kind: One of `KINDS`.
        text: With the possible answers, except for `describe`, where they would be long.
        options: Possible answers.
        answer: The right one.
        evidence: Frames that hold what must be seen.
    """

    kind: str
    text: str
    options: tuple[str, ...]
    answer: str
    evidence: tuple[int, ...]


def questions_about(clip: ComposedClip) -> tuple[ComposedQuestion, ...]:
    """One question of each kind that the clip allows, in the order of `KINDS`."""
    rng = np.random.default_rng([*clip.rng_key, 1])
    names = [picture.name for picture in clip.pictures]
    after = int(rng.integers(len(names) - 1))
    found = [
        _which(clip, rng, "first", "what is shown first", 0),
        _which(clip, rng, "last", "what is shown last", len(names) - 1),
        _which(clip, rng, "after", f"what is shown right after the {names[after]}", after + 1, without=after),
        _listed("count", "how many things are shown", COUNTS, COUNTS[len(names) - FEWEST], range(len(clip.variants))),
        _present(clip, rng),
        _kind(clip, rng),
        _describe(clip, rng),
    ]
    return tuple(question for question in found if question is not None)


def _which(
    clip: ComposedClip, rng: np.random.Generator, kind: str, text: str, right: int, without: int | None = None
) -> ComposedQuestion:
    """What the clip shows besides is the first choice for wrong answers, so that order matters."""
    wrong = [picture.name for at, picture in enumerate(clip.pictures) if at not in (right, without)]
    wrong += [picture.name for picture in clip.others]
    answer = clip.pictures[right].name
    return _listed(kind, text, _shuffled(rng, [answer, *wrong[: OPTIONS - 1]]), answer, clip.frames_of(right))


def _present(clip: ComposedClip, rng: np.random.Generator) -> ComposedQuestion:
    there = bool(rng.integers(2))
    at = int(rng.integers(len(clip.pictures)))
    asked = clip.pictures[at] if there else clip.others[0]
    evidence = clip.frames_of(at) if there else range(len(clip.variants))
    return _listed("present", f"is any {asked.name} shown", ("yes", "no"), "yes" if there else "no", evidence)


def _kind(clip: ComposedClip, rng: np.random.Generator) -> ComposedQuestion | None:
    ends = {"first": 0, "last": len(clip.pictures) - 1}
    possible = [which for which, at in ends.items() if clip.pictures[at].kind]
    if not possible:
        return None
    which = possible[int(rng.integers(len(possible)))]
    answer = clip.pictures[ends[which]].kind
    others = sorted(set(FOLDERS.values()) - {answer})
    shown = [each.kind for each in clip.pictures if each.kind not in ("", answer)]
    wrong = list(dict.fromkeys([*shown, *_shuffled(rng, others)]))[: OPTIONS - 1]
    options = _shuffled(rng, [answer, *wrong])
    return _listed("kind", f"what kind of thing is shown {which}", options, answer, clip.frames_of(ends[which]))


def _describe(clip: ComposedClip, rng: np.random.Generator) -> ComposedQuestion:
    """All names in order, against another order and against lists with one name replaced."""
    right = list(clip.pictures)
    turned = list(right)
    at = int(rng.integers(len(right) - 1))
    turned[at], turned[at + 1] = turned[at + 1], turned[at]
    lists = [right, turned]
    for other in clip.others[: OPTIONS - 2]:
        changed = list(right)
        changed[int(rng.integers(len(right)))] = other
        lists.append(changed)
    told = [_list(each) for each in lists]
    options = tuple(_shuffled(rng, told))
    return ComposedQuestion("describe", "what is shown, in order?", options, told[0], tuple(range(len(clip.variants))))


def _listed(kind: str, text: str, options: Sequence[str], answer: str, evidence: Sequence[int]) -> ComposedQuestion:
    asked = f"{text}: {', '.join(options[:-1])} or {options[-1]}?"
    return ComposedQuestion(kind, asked, tuple(options), answer, tuple(evidence))


def _list(pictures: Sequence[Picture]) -> str:
    return ", ".join(picture.name for picture in pictures)


def _shuffled(rng: np.random.Generator, items: Sequence[str]) -> list[str]:
    return [items[int(at)] for at in rng.permutation(len(items))]


assert len(COUNTS) == MOST - FEWEST + 1
