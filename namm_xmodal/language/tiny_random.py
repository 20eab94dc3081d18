"""A language model of 27,000 random parameters that needs no download: for tests and for trying out configurations."""

from typing import Any

from namm_xmodal.language.rope import Rope, stretch

NAME = "tiny-random"
DESCRIPTION = (
    "random weights (Llama family, 2 layers, 4 query and 2 key-value heads, 16,384 tokens) and one token per byte"
)


def build_tiny_random(rope: Rope | None = None) -> tuple[Any, Any]:
    """The model, in float32, and its tokenizer; the same weights at every call.

    Args:
        rope: How positions are stretched.

    Returns:
        A `LlamaForCausalLM` and a byte-level tokenizer with 256 byte tokens, `<s>`, `</s>` and `<pad>`.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    if rope is not None:
        stretch(config, rope, NAME)
    with torch.random.fork_rng(devices=[]):  # the caller's random stream is left as it was
        torch.manual_seed(0)
        return LlamaForCausalLM(config), tokenizer


def byte_tokenizer() -> Any:
    """A byte-level BPE tokenizer without merges: every byte is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={char: i for i, char in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", model_max_length=16_384
    )
