"""A tiny random LLaVA-NeXT-Video with attention sharp enough that masks and evictions matter, and a prompt for it."""

import torch
import transformers as hf

VIDEO, IMAGE = 95, 96


def tiny_llava(dtype=torch.float32, *, image_size=16, patch_size=4, kv_heads=2, layers=3, sharpness=6.0):
    """Random weights; 2 x 2 tokens a frame by default."""
    vision = hf.CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=image_size,
        patch_size=patch_size,
        projection_dim=16,
    )
    text = hf.LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=kv_heads,
        max_position_embeddings=256,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    config = hf.LlavaNextVideoConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        video_token_index=VIDEO,
        vision_feature_layer=-1,
        image_grid_pinpoints=[[image_size, image_size]],
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = hf.LlavaNextVideoForConditionalGeneration(config)
    for name, parameter in model.named_parameters():
        if "language_model" in name and parameter.dim() > 1 and "embed" not in name:
            parameter.data.mul_(sharpness)
    return model.eval().to(dtype)


def video_prompt(model, frames=6, rows=1, before=3, after=9, seed=0):
    """`before` text tokens, a video, `after` text tokens; row r is left-padded by 2 r."""
    generator = torch.Generator().manual_seed(seed)
    side = model.config.vision_config.image_size
    grid = (side // model.config.vision_config.patch_size // 2) ** 2
    pixels = torch.randn(rows, frames, 3, side, side, generator=generator).to(model.dtype)
    length = before + grid * frames + after + 2 * (rows - 1)
    ids = torch.zeros(rows, length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row in range(rows):
        text = torch.randint(3, 90, (before + after + 2 * (rows - 1 - row),), generator=generator)
        tokens = torch.cat([text[:before], torch.full((grid * frames,), VIDEO), text[before:]])
        ids[row, length - len(tokens) :] = tokens
        mask[row, length - len(tokens) :] = 1
    inputs = {"input_ids": ids, "pixel_values_videos": pixels}
    if rows > 1:
        inputs |= {"attention_mask": mask, "position_ids": (mask.cumsum(-1) - 1).clamp(min=0)}
    return inputs
