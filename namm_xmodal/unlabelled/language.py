"""Texts, each repeated after itself: a repetition attends to all that may be asked for (KVzip, arXiv 2505.23416)."""

import random
from collections.abc import Callable

import torch

from namm_xmodal.config.sources import LanguageSource
from namm_xmodal.language.models import LanguageModel
from namm_xmodal.language.passages import draw_place
from namm_xmodal.language.texts import find_texts
from namm_xmodal.unlabelled.source import Inputs, UnlabelledInput

_AGAIN = "\n\nThe same text again:\n"


def language_inputs(source: LanguageSource, load: Callable[..., LanguageModel]) -> Inputs:
    """Stretches of the sources in turn.

    Args:
        source: Model and texts.
        load: Takes name, dtype and device of the model.

    Raises:
        NammError: If the model or the texts cannot be loaded.
    """
    language = load(source.model, dtype=source.dtype, device=source.device)
    documents = [find_texts(name) for name in source.texts]
    rng = random.Random(f"traces, {source.seed}")
    again = language.tokenizer(_AGAIN, add_special_tokens=False).input_ids
    for number in range(source.count):
        place = draw_place(documents[number % len(documents)], source.tokens, rng)
        text = language.tokenizer(place.read(source.tokens, language.tokenizer)).input_ids
        ids = [*text, *again, *text] if source.repeat else text
        yield UnlabelledInput(
            f"{number:04}",
            language.model,
            {"input_ids": torch.tensor([ids], device=language.model.device)},
            len(text),
            len(text) if source.repeat else 0,
        )
