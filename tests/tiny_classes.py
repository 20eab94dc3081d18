"""Any model class of transformers with a tiny configuration and random weights, for the survey of families."""

import dataclasses
import inspect
import re

import torch
import transformers as hf

SIZES = {  # fields of a configuration: what they become, wherever a class or one of its parts has them
    "hidden_size d_model n_embd embed_dim dim width word_embed_proj_dim out_hidden_size lru_width projection_dim": 32,
    "intermediate_size ffn_dim d_ff n_inner hidden_dim decoder_ffn_dim encoder_ffn_dim moe_intermediate_size mlp_dim": 48,
    "shared_expert_intermediate_size ffn_hidden_size expert_ffn_hidden_size intermediate_size_mlp": 48,
    "moe_shared_expert_intermediate_size shared_intermediate_size dense_intermediate_size": 48,
    "num_hidden_layers n_layer n_layers num_layers decoder_layers encoder_layers depth": 4,
    "num_attention_heads n_head n_heads num_heads decoder_attention_heads encoder_attention_heads": 4,
    "swa_num_attention_heads linear_num_key_heads linear_num_value_heads": 4,
    "num_key_value_heads num_kv_heads swa_num_key_value_heads num_global_key_value_heads": 2,
    "head_dim global_head_dim swa_head_dim v_head_dim swa_v_head_dim qk_nope_head_dim qk_rope_head_dim": 8,
    "attention_head_dim kv_channels d_kv linear_key_head_dim linear_value_head_dim": 8,
    "kv_lora_rank q_lora_rank o_lora_rank qk_head_dim index_head_dim index_topk": 16,
    "vocab_size image_vocab_size vocab_size_per_layer_input": 97,
    "num_experts num_local_experts n_routed_experts moe_num_experts": 4,
    "num_experts_per_tok moe_topk top_k moe_k num_experts_per_token index_n_heads": 2,
    "n_group topk_group first_k_dense_replace": 1,
    "max_position_embeddings n_positions n_ctx max_seq_len max_sequence_length max_target_positions": 256,
    "sliding_window attention_chunk_size local_attention attention_window_size": 24,
    "mamba_d_state ssm_state_size state_size mamba_n_heads mamba_num_heads mamba_head_dim mamba_d_head": 8,
    "hidden_size_per_layer_input": 8,
    "linear_num_heads": 4,
    "linear_head_dim": 8,
    "mamba_d_ssm": 64,
    "num_nextn_predict_layers num_kv_shared_layers pad_token_id": 0,
    "image_size": 16,
    "patch_size": 4,
    "spatial_merge_size temporal_patch_size eos_token_id": 2,
    "bos_token_id decoder_start_token_id": 1,
    "image_token_id image_token_index": 90,
    "video_token_id video_token_index": 91,
    "vision_start_token_id": 92,
    "vision_end_token_id": 93,
}
SIZE = {name: size for names, size in SIZES.items() for name in names.split()}
THREE_AXES = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
LATENT = {"num_key_value_heads": 4}
DECODER = {"is_decoder": True}
SHARING = {"num_kv_shared_layers": 2, "layer_types": ["sliding_attention", "full_attention"] * 2}
HYBRID = {"layer_types": ["linear_attention", "full_attention"] * 2}
ALSO = {  # class: what else its configuration needs
    **{
        f"{name}ForCausalLM": LATENT
        for name in "AXK1 DeepseekV2 DeepseekV3 Glm4MoeLite LongcatFlash MiniCPM3 Youtu Mistral4".split()
    },
    **{
        name: DECODER
        for name in (
            "BertGenerationDecoder BertLMHeadModel CamembertForCausalLM Data2VecTextForCausalLM ElectraForCausalLM "
            "ErnieForCausalLM RobertaForCausalLM RobertaPreLayerNormForCausalLM XLMRobertaForCausalLM "
            "XLMRobertaXLForCausalLM"
        ).split()
    },
    **{
        f"{name}ForConditionalGeneration": {
            "text_config": {"rope_parameters": {**THREE_AXES, "partial_rotary_factor": 1.0}}
        }
        for name in "Qwen2VL PaddleOCRVL Glm4v Glm46V Glm4vMoe GlmOcr".split()
    },
    "Qwen2_5_VLForConditionalGeneration": {
        "text_config": {"rope_parameters": THREE_AXES},
        "vision_config": {"fullatt_block_indexes": [1], "window_size": 16},
    },
    **{
        f"{name}ForConditionalGeneration": {"vision_config": {"deepstack_visual_indexes": [0, 1]}}
        for name in ("Qwen3VL", "Qwen3VLMoe")
    },
    "BambaForCausalLM": {"attn_layer_indices": [1, 3]},
    "CodeGenForCausalLM": {"rotary_dim": 8},
    "GPTJForCausalLM": {"rotary_dim": 8},
    "Gemma3ForConditionalGeneration": {"mm_tokens_per_image": 4},
    "Gemma3nForCausalLM": SHARING,
    "Gemma4ForCausalLM": SHARING,
    "Gemma4ForConditionalGeneration": {"text_config": SHARING},
    "GraniteMoeHybridForCausalLM": HYBRID,
    "JambaForCausalLM": {"attn_layer_offset": 1, "attn_layer_period": 2},
    "BailingHybridForCausalLM": {**HYBRID, **LATENT},
    "KimiLinearForCausalLM": {**HYBRID, **LATENT},
    "Kimi_K25ForConditionalGeneration": {"text_config": LATENT},
    "Lfm2ForCausalLM": {"layer_types": ["conv", "full_attention"] * 2},
    "Lfm2MoeForCausalLM": {"layer_types": ["conv", "full_attention"] * 2},
    "MoshiForCausalLM": {"sliding_window": 64},
    "Qwen3NextForCausalLM": HYBRID,
    "SmolVLMForConditionalGeneration": {"scale_factor": 2},
    "Idefics3ForConditionalGeneration": {"scale_factor": 2},
    "ZambaForCausalLM": {"layer_types": ["linear_attention", "hybrid"] * 2},
    "Zamba2ForCausalLM": {"layer_types": ["linear_attention", "hybrid"] * 2, "hybrid_layer_ids": [1, 3]},
}
SHARP = re.compile("q_proj|k_proj|qkv|query|key|c_attn|q_b_proj|kv_b_proj")
MOST = 8_000_000


def tiny_class(name, also=None):
    """A random model of the class `name`, in evaluation mode and float32.

    Attention is sharper than at initialisation, where it is nearly uniform and a wrong mask would hardly show.
    """
    kind = getattr(hf, name)
    config = kind.config_class(**small(kind.config_class, ALSO.get(name, {}) if also is None else also))
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in kind(config).parameters())
    assert count < MOST, f"{name}: {count:,} parameters: some field is missing in SIZES"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
        for part, parameter in model.named_parameters():
            if "sink" in part:
                parameter.data.normal_()
            elif parameter.dim() > 1 and "embed" not in part:
                parameter.data.mul_(8 if SHARP.search(part) else 2)
    return model.eval().float()


def small(kind, also):
    """Arguments for a configuration class and its parts."""
    parts = getattr(kind, "sub_configs", {})
    found = {name: SIZE[name] for name in _fields(kind) & SIZE.keys()}
    for name, part in parts.items():
        if part is hf.AutoConfig:
            usual = getattr(kind(), name, None)
            if usual is None:
                continue
            found[name] = {"model_type": usual.model_type}
            part = type(usual)
        found[name] = {**found.get(name, {}), **small(part, also.get(name, {}))}
    return {**found, **{name: value for name, value in also.items() if name not in parts}}


def _fields(kind):
    named = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    return named | set(inspect.signature(kind.__init__).parameters)
