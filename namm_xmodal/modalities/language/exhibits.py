"""One sample of the first task, token by token: which layers and heads still hold it, and when the others evicted it."""

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from namm_xmodal.errors import ItemError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit, KeptMap, ShadedText
from namm_xmodal.modalities.language.inspection import KEPT, Inspection, inspect_text
from namm_xmodal.modalities.language.section import LanguageSection
from namm_xmodal.modalities.language.session import LanguageSession
from namm_xmodal.modalities.language.tasks import tasks_of
from namm_xmodal.types import ONCE

MOST_TOKENS = 768


def text_exhibits(section: LanguageSection, arms: Sequence[Arm]) -> list[Exhibit]:
    """Text and map of each arm.

    Args:
        section: Its first task's first sample is shown.
        arms: Which to show.
    """
    session = LanguageSession(section)
    label = next(iter(tasks_of(section)))
    try:
        sample = session.sample(label, 0)
    except ItemError:  # a broken item of a suite, which its record tells of
        return []
    found: list[Exhibit] = []
    for arm in arms:
        options: dict[str, Any] = {
            "update_every": section.update_every,
            "schedule": arm.schedule if arm.schedule in ONCE else "streaming",
            "protect_first": section.protect_first,
            "protect_recent": section.protect_recent,
            "selection": section.selection,
            "limit": MOST_TOKENS,
        }
        policy = session.policy(arm)
        text, question = sample.context + sample.question, ""
        if arm.schedule == "post_context":
            text, question = sample.context, sample.question
        seen = inspect_text(
            session.language.model, session.language.tokenizer, policy, text, question=question, **options
        )
        what = f"sample of {label}, {len(seen.tokens):,} tokens"
        found.append(ShadedText(f"A {what}", arm.name, seen.tokens, seen.updates, _fates(seen)))
        found.append(KeptMap(f"Kept of a {what}", arm.name, "layer", "kv head", _shares(seen)))
    return found


def _fates(seen: Inspection) -> tuple[tuple[str, ...], ...]:
    letters = dict(zip(seen.updates, ascii_letters, strict=False)) | {KEPT: "."}
    return tuple(
        tuple("".join(letters.get(int(at), ascii_letters[-1]) for at in head) for head in layer)
        for layer in seen.evicted_at
    )


def _shares(seen: Inspection) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(np.round(layer, 4).tolist()) for layer in seen.kept.mean(-1))
