"""A NAMM with feature statistics of the model that is evaluated: estimated from plain text, no label, no reward."""

import random

import torch

from namm_xmodal.language.models import LanguageModel
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.texts import find_texts
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import Namm

TEXTS, TOKENS, SOURCE = 8, 768, "python-topics"


def with_estimated_statistics(policy: Namm, language: LanguageModel, update_every: int) -> Namm:
    """The same network, its features standardised by what they are on this model with a full cache.

    Args:
        policy: The policy.
        language: The model that it will prune.
        update_every: The clock that it will have.
    """
    batches = plain_batches(language, SOURCE, TOKENS, TEXTS, f"feature statistics, {SOURCE}")
    source = f"estimated on {language.name}, {TEXTS} texts of {TOKENS} tokens of {SOURCE}, update every {update_every}"
    return policy.with_statistics(
        estimate_statistics(language.model, batches, policy.features, update_every=update_every, source=source)
    )


def plain_batches(
    language: LanguageModel, texts: str, tokens: int, count: int, seed: str
) -> list[dict[str, torch.Tensor]]:
    """Plain texts as batches of one row.

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
        {
            "input_ids": torch.tensor(
                [language.tokenizer(place.read(tokens, language.tokenizer)).input_ids], device=device
            )
        }
        for place in places
    ]
