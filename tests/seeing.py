"""Tiny vision-language models with processors of their own, random weights, saved in the published layout."""

import transformers as hf
from tiny_classes import tiny_class
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

MARKS = [
    "<pad>",
    "<unk>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<image>",
    "<video>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<fake_token_around_image>",
    "<global-img>",
    "<end_of_utterance>",
]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}VIDEO{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIDE = {"size": {"height": 16, "width": 16}}
LONGEST = {"size": {"longest_edge": 16}, "max_image_size": {"longest_edge": 16}}
AREA = {"patch_size": 4, "merge_size": 2, "size": {"shortest_edge": 256, "longest_edge": 16384}}
TEXT = {"vocab_size": 320, "max_position_embeddings": 2048}
QWEN_MARK = "<|vision_start|><|video_pad|><|vision_end|>"
KINDS = ("qwen2_5_vl", "qwen3_vl", "llava_onevision", "internvl", "smolvlm")


def tokenizer_with(**special):
    """Bytes, a few words, and every family's marks."""
    plain = Tokenizer(models.BPE(unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=310, special_tokens=MARKS, initial_alphabet=letters)
    plain.train_from_iterator(["which colour comes after red ? blue green"] * 3, trainer)
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=plain,
        pad_token="<pad>",
        eos_token="<|im_end|>",
        unk_token="<unk>",
        extra_special_tokens=special,
    )


def seeing(kind):
    """Model and processor of a family."""
    return _MAKERS[kind]()


def _qwen(processor_class, video_class, model_class, **also):
    tokenizer = tokenizer_with(image_token="<|image_pad|>", video_token="<|video_pad|>")
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in MARKS}
    videos = video_class(**AREA, cap_pixels_per_frame=False)
    pictures = hf.Qwen2VLImageProcessor(patch_size=4, merge_size=2)
    processor = processor_class(pictures, tokenizer, videos, chat_template=TEMPLATE.replace("VIDEO", QWEN_MARK))
    tokens = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    return tiny_class(model_class, {**tokens, **also}), processor


def _qwen2_5():
    axes = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    return _qwen(
        hf.Qwen2_5_VLProcessor,
        hf.Qwen2VLVideoProcessor,
        "Qwen2_5_VLForConditionalGeneration",
        text_config={**TEXT, "rope_parameters": axes},
        vision_config={"fullatt_block_indexes": [1], "window_size": 16},
    )


def _qwen3():
    return _qwen(
        hf.Qwen3VLProcessor,
        hf.Qwen3VLVideoProcessor,
        "Qwen3VLForConditionalGeneration",
        text_config=TEXT,
        vision_config={"deepstack_visual_indexes": [0, 1]},
    )


def _onevision():
    tokenizer = tokenizer_with(image_token="<image>", video_token="<video>")
    ids = {mark: tokenizer.convert_tokens_to_ids(mark) for mark in MARKS}
    processor = hf.LlavaOnevisionProcessor(
        hf.LlavaOnevisionImageProcessor(**SIDE),
        tokenizer,
        hf.LlavaOnevisionVideoProcessor(**SIDE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE.replace("VIDEO", "<video>"),
    )
    tokens = {f"{kind}_token_{what}": ids[f"<{kind}>"] for kind in ("image", "video") for what in ("id", "index")}
    return tiny_class("LlavaOnevisionForConditionalGeneration", {**tokens, "text_config": TEXT}), processor


def _internvl():
    tokenizer = tokenizer_with(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>"
    )
    processor = hf.InternVLProcessor(
        hf.GotOcr2ImageProcessor(**SIDE),
        tokenizer,
        hf.InternVLVideoProcessor(**SIDE),
        image_seq_length=4,
        chat_template=TEMPLATE.replace("VIDEO", "<video>"),
    )
    token = tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>")
    return tiny_class("InternVLForConditionalGeneration", {"image_token_id": token, "text_config": TEXT}), processor


def _smolvlm():
    tokenizer = tokenizer_with(
        image_token="<image>",
        fake_image_token="<fake_token_around_image>",
        global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
    )
    processor = hf.SmolVLMProcessor(
        hf.SmolVLMImageProcessor(**LONGEST),
        tokenizer,
        hf.SmolVLMVideoProcessor(**LONGEST),
        image_seq_len=4,
        chat_template=TEMPLATE.replace("VIDEO", "<video>"),
    )
    also = {"scale_factor": 2, "image_token_id": tokenizer.convert_tokens_to_ids("<image>"), "text_config": TEXT}
    return tiny_class("SmolVLMForConditionalGeneration", also), processor


_MAKERS = {
    "qwen2_5_vl": _qwen2_5,
    "qwen3_vl": _qwen3,
    "llava_onevision": _onevision,
    "internvl": _internvl,
    "smolvlm": _smolvlm,
}
