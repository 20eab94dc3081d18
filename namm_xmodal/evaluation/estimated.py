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
    rng = random.Random(f"feature statistics, {SOURCE}")  # no sample of any task is drawn with this seed
    places = [draw_place(find_texts(SOURCE), TOKENS, rng) for _ in range(TEXTS)]
    texts = [place.read(TOKENS, language.tokenizer) for place in places]
    batches = (
        {"input_ids": torch.tensor([language.tokenizer(text).input_ids], device=language.model.device)}
        for text in texts
    )
    source = f"estimated on {language.name}, {TEXTS} texts of {TOKENS} tokens of {SOURCE}, update every {update_every}"
    return policy.with_statistics(
        estimate_statistics(language.model, batches, policy.features, update_every=update_every, source=source)
    )
