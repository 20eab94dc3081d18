"""Checks that a tokenizer fits an embedding, since an id without a row would fail in the middle of a run."""

from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.language.prompt import prefix_ids


def check_vocabulary(tokenizer: Any, config: Any, name: str) -> None:
    """Refuses a tokenizer whose tokens the embedding has no rows for; before weights are loaded.

    Special tokens that stand for no text may lie beyond it, as Gemma 3's `<image_soft_token>` does in its text models.

    Args:
        tokenizer: Any transformers tokenizer.
        config: Of the model.
        name: Of the model, for the message.

    Raises:
        DataError: With both sizes.
    """
    ordinary = [token for token, added in tokenizer.added_tokens_decoder.items() if not added.special]
    last = max([tokenizer.vocab_size - 1, *ordinary, *prefix_ids(tokenizer)])
    rows = getattr(config.get_text_config(), "vocab_size", None)
    if rows is not None and last >= rows:
        raise DataError(
            f"model {name!r}: its tokenizer has token ids up to {last}, but its embedding only {rows} rows; expected "
            "the tokenizer of the model (after adding tokens, call model.resize_token_embeddings)"
        )
