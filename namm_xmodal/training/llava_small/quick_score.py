"""Accuracy on unseen generated videos, from the likelihood of each option, while and after training."""

from collections.abc import Mapping, Sequence

import torch
from transformers import LlavaNextVideoForConditionalGeneration, PreTrainedTokenizerFast

from namm_xmodal.training.llava_small.pixels import as_pixels
from namm_xmodal.training.llava_small.qa_batch import TOKENS_PER_FRAME
from namm_xmodal.video.procedural.clip import make_clip

UNSEEN = 1_000_003
"""Seed of the list of clips that training never draws from."""


Counts = dict[str, tuple[int, int]]
"""Right answers and questions, by kind."""


def accuracies(
    model: LlavaNextVideoForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, clips: int, frames: int
) -> Counts:
    """(right answers, questions) by kind."""
    return total(outcomes(model, tokenizer, clips, frames))


@torch.no_grad()
def outcomes(
    model: LlavaNextVideoForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, clips: int, frames: int
) -> list[dict[str, bool]]:
    """For each video, kind by kind, whether the answer was right.

    Every question is asked alone about its video; options are single words.
    """
    model.eval()
    found: list[dict[str, bool]] = []
    for number in range(clips):
        clip = make_clip(UNSEEN, number, frames)
        video = "<video>" * (TOKENS_PER_FRAME * frames)
        texts = [f"USER: {video}\n{question.text} ASSISTANT:" for question in clip.questions]
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        features = model.model.get_video_features(as_pixels(clip.video)[None], return_dict=True).pooler_output
        embeddings = model.get_input_embeddings()(batch["input_ids"])
        slots = batch["input_ids"] == model.config.video_token_id
        embeddings[slots] = torch.cat(list(features)).repeat(len(texts), 1)
        positions = (batch["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        logits = model(
            inputs_embeds=embeddings,
            attention_mask=batch["attention_mask"],
            position_ids=positions,
            use_cache=False,
            logits_to_keep=1,
        ).logits[:, -1]
        right: dict[str, bool] = {}
        for question, scores in zip(clip.questions, logits, strict=True):
            options = tokenizer.convert_tokens_to_ids(list(question.options))
            right[question.kind] = question.options[int(scores[options].argmax())] == question.answer
        found.append(right)
    return found


def total(found: Sequence[Mapping[str, bool]]) -> Counts:
    """Counts over videos."""
    kinds = sorted({kind for each in found for kind in each})
    return {kind: (sum(each.get(kind, False) for each in found), sum(kind in each for each in found)) for kind in kinds}


def overall(counts: Counts) -> float:
    """Share of all questions answered rightly."""
    return sum(right for right, _ in counts.values()) / max(1, sum(asked for _, asked in counts.values()))
