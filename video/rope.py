"""Linear scaling of rotary positions for videos that are longer than the language model's context.

Vicuna was built for 4,096 tokens; 32 frames of 144 are 4,608, and beyond about 28 frames the published 7B answers with
garbage. LLaVA-NeXT's own code divides positions by ceil((frames * 144 + 1000) / 4096) then, and so does this.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from namm_xmodal.errors import UnsupportedModelError

RESERVE = 1000
"""Tokens of text that upstream's formula leaves room for."""


def rope_factor(config: Any, visual: int, text: int) -> int:
    """The factor by which positions must be divided, 1 if the model's context holds the prompt.

    Args:
        config: Of the whole model.
        visual: Visual tokens.
        text: Other tokens, those to generate included.
    """
    context = int(config.text_config.max_position_embeddings)
    scaling = getattr(config.text_config, "rope_parameters", None) or {}
    if scaling.get("rope_type") == "linear":
        context = int(context * scaling.get("factor", 1.0))
    if visual + text <= context:
        return 1
    return max(1, math.ceil((visual + max(RESERVE, text)) / context))


@contextmanager
def scaled_rope(model: Any, factor: int) -> Iterator[None]:
    """Divides all rotary positions of the language model by `factor` for the length of a `with` block.

    Raises:
        UnsupportedModelError: If the model scales its positions in another way already.
    """
    if factor == 1:
        yield
        return
    rotary = model.model.language_model.rotary_emb
    kind = getattr(rotary, "rope_type", "default")
    if kind not in ("default", "linear"):
        raise UnsupportedModelError(
            f"rotary positions of type {kind!r}: linear scaling by {factor} needs default or linear ones; use fewer frames"
        )
    before = rotary.inv_freq.clone()
    try:
        rotary.inv_freq.div_(factor)
        yield
    finally:
        rotary.inv_freq.copy_(before)
