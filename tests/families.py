"""Tiny models of every supported family, with attention sharp enough that masks and evictions matter."""

import torch
import transformers as hf

VOCABULARY = 97
_SHARED = dict(
    vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=512
)
_GATED = dict(**_SHARED, intermediate_size=48, pad_token_id=0, bos_token_id=1, eos_token_id=2)
_GQA = dict(**_GATED, num_key_value_heads=2)

FAMILIES = {
    "llama": lambda: hf.LlamaForCausalLM(hf.LlamaConfig(**_GQA)),
    "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**_GQA, sliding_window=24)),
    "qwen2": lambda: hf.Qwen2ForCausalLM(hf.Qwen2Config(**_GQA)),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**_GQA, head_dim=8)),
    "phi3": lambda: hf.Phi3ForCausalLM(hf.Phi3Config(**_GQA)),
    "gemma3": lambda: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(
            **_GQA,
            head_dim=8,
            sliding_window=24,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        )
    ),
    "gpt2": lambda: hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=3, n_head=4, n_positions=512, bos_token_id=1, eos_token_id=2
        )
    ),
    "gpt_neox": lambda: hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**_GATED)),
    "opt": lambda: hf.OPTForCausalLM(
        hf.OPTConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=4,
            ffn_dim=48,
            max_position_embeddings=512,
            word_embed_proj_dim=32,
            pad_token_id=0,
        )
    ),
    "olmo2": lambda: hf.Olmo2ForCausalLM(hf.Olmo2Config(**_GQA)),
}


def tiny(family: str, dtype: torch.dtype = torch.float32, sharpness: float = 6.0) -> torch.nn.Module:
    """A random model of `family` in evaluation mode.

    Weights of query and key projections are scaled up: at initialisation attention is nearly uniform, and a wrong mask
    would hardly show.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = FAMILIES[family]()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "embed" not in name and "wte" not in name and "wpe" not in name:
            parameter.data.mul_(sharpness)
    return model.eval().to(dtype)


def padded_batch(length: int = 100, pad: int = 13, rows: int = 2, seed: int = 0) -> dict[str, torch.Tensor]:
    """`rows` texts, row r left-padded by r * pad: input_ids, attention_mask, position_ids."""
    ids = torch.randint(3, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(ids)
    for row in range(rows):
        mask[row, : row * pad] = 0
    ids = ids.masked_fill(mask == 0, 0)
    return {"input_ids": ids, "attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}


def in_chunks(model, batch, cache, size):
    """Logits of a text fed `size` tokens at a time."""
    length = batch["input_ids"].shape[1]
    parts = []
    for start in range(0, length, size):
        stop = min(length, start + size)
        inputs = {
            name: value[:, :stop] if name == "attention_mask" else value[:, start:stop] for name, value in batch.items()
        }
        parts.append(model(**inputs, past_key_values=cache, use_cache=True).logits)
    return torch.cat(parts, 1)
