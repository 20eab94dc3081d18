"""The small model's parts: configuration, tokenizer and processor, in the layout of published checkpoints."""

from typing import Any

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextVideoConfig,
    LlavaNextVideoForConditionalGeneration,
    LlavaNextVideoProcessor,
    PreTrainedTokenizerFast,
)
from transformers.models.llava_next.image_processing_llava_next import LlavaNextImageProcessor
from transformers.models.llava_next_video.video_processing_llava_next_video import LlavaNextVideoVideoProcessor

from namm_xmodal.video.parts.chat import TEMPLATE
from namm_xmodal.video.procedural.clip import SIDE
from namm_xmodal.video.procedural.words import COLOURS, DIRECTIONS, NUMBERS, SHAPES, SIGNS

PATCH = 8

_SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<image>", "<video>")
_TEXT = (
    *("USER", "ASSISTANT", ":", "?", ".", "what", "colour", "comes", "first", "last", "after", "how", "many", "shapes"),
    *("come", "by", "is", "the", "shape", "where", "does", "move", "which", "sign", "shown", "A", "B", "C", "D", "E"),
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, about 60 of them; anything else is `<unk>`."""
    words = (*_SPECIAL, *_TEXT, *COLOURS, *SHAPES, *DIRECTIONS, *SIGNS, *NUMBERS)
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token="<pad>",
        padding_side="left",
        extra_special_tokens={"image_token": "<image>", "video_token": "<video>"},
        chat_template=TEMPLATE,
    )


def make_processor() -> LlavaNextVideoProcessor:
    """Tokenizer and pixel scaling: pictures are resized to 48 x 48 and normalised to about [-1, 1]."""
    size: dict[str, Any] = {
        "size": {"height": SIDE, "width": SIDE},
        "crop_size": {"height": SIDE, "width": SIDE},
        "do_center_crop": False,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    }
    return LlavaNextVideoProcessor(
        video_processor=LlavaNextVideoVideoProcessor(**size),
        image_processor=LlavaNextImageProcessor(**size, image_grid_pinpoints=[[SIDE, SIDE]]),
        tokenizer=make_tokenizer(),
        chat_template=TEMPLATE,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
    )


def make_model(seed: int) -> LlavaNextVideoForConditionalGeneration:
    """Random weights of the small architecture: 6 x 6 patches a frame, pooled to 9 tokens, 4 layers of 128 dimensions.

    Both parts start at a standard deviation near 1 / sqrt(width): with the usual 0.02 so narrow a model stays at chance.
    """
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=256,
        num_hidden_layers=3,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=64,
        initializer_range=0.09,
        initializer_factor=1.0,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        initializer_range=0.07,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaNextVideoConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        image_grid_pinpoints=[[SIDE, SIDE]],
        tie_word_embeddings=False,
    )
    return LlavaNextVideoForConditionalGeneration(config)
