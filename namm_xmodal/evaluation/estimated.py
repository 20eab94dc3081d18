"""A NAMM fitted to the model that is evaluated: statistics and thresholds from plain text, no label, no reward."""

import random
from dataclasses import replace

import torch

from namm_xmodal.language.models import LanguageModel
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.texts import find_texts
from namm_xmodal.memory.calibration import calibrate
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import Namm

TEXTS, TOKENS, SOURCE = 8, 768, "python-topics"
LONG_TEXTS, LONG, FLOOR = 4, 2048, 96
SPARE = 32
"""Texts end after a whole word, which must not come before the last update."""


def with_estimated_statistics(policy: Namm, language: LanguageModel, update_every: int) -> Namm:
    """The same network, its features standardised by what they are on this model with a full cache.

    Args:
        policy: The policy.
        language: The model that it will prune.
        update_every: The clock that it will have.
    """
    tokens = text_length(TOKENS, language.max_context)
    texts = plain_texts(language, SOURCE, tokens, TEXTS, f"feature statistics, {SOURCE}")
    batches = ({"input_ids": ids} for ids in texts)
    source = f"estimated on {language.name}, {TEXTS} texts of {tokens} tokens of {SOURCE}, update every {update_every}"
    return policy.with_statistics(
        estimate_statistics(language.model, batches, policy.features, update_every=update_every, source=source)
    )


def calibrated(
    policy: Namm, language: LanguageModel, share: float, *, update_every: int, protect_first: int, protect_recent: int
) -> Namm:
    """The same network with the thresholds that keep `share` of plain text, and at least `FLOOR` tokens.

    Args:
        policy: The policy.
        language: The model that it will prune.
        share: Kept fraction after every update.
        update_every: The clock that it will have.
        protect_first: Oldest tokens that always stay.
        protect_recent: Newest tokens that always stay.
    """
    longest = text_length(LONG, language.max_context)
    texts = plain_texts(language, SOURCE, longest + SPARE, LONG_TEXTS, f"calibration, {SOURCE}")
    found = calibrate(
        language.model,
        texts,
        policy,
        budget=share,
        floor=FLOOR,
        update_every=update_every,
        protect_first=protect_first,
        protect_recent=protect_recent,
    )
    return replace(policy, threshold=0.0, schedule=found.schedule)


def text_length(wanted: int, context: int | None) -> int:
    """Tokens of a plain text: as many as wanted, unless the model was built for fewer."""
    return wanted if context is None else min(wanted, context - SPARE)


def plain_texts(language: LanguageModel, texts: str, tokens: int, count: int, seed: str) -> list[torch.Tensor]:
    """Plain texts as token ids, (1, T) each.

    Args:
        language: Whose tokens to count.
        texts: A name of `list_texts()`.
        tokens: Of each text.
        count: Texts.
        seed: Words; samples of tasks are drawn with numbers, so none of them is met here by its seed.
    """
    rng, documents, device = random.Random(seed), find_texts(texts), language.model.device
    places = [draw_place(documents, tokens, rng) for _ in range(count)]
    return [
        torch.tensor([language.tokenizer(place.read(tokens, language.tokenizer)).input_ids], device=device)
        for place in places
    ]
