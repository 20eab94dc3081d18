"""Accuracy of a model of real parts on composed clips, full cache, every question as if asked alone."""

from typing import Any

import torch
from torch import nn

from namm_xmodal.training.llava_small.pixels import as_pixels
from namm_xmodal.training.llava_smollm2.packed import answer_losses, pack
from namm_xmodal.video.composed.clip import Pool, compose
from namm_xmodal.video.composed.questions import questions_about

MEASURED = 1_000_003
"""List of the clips; training draws from others, and `video-qa` from lists above 2,000,003."""


@torch.no_grad()
def option_scores(model: Any, tokenizer: Any, frames: torch.Tensor, asked: list[Any]) -> list[list[float]]:
    """For each question, the mean log probability of the tokens of each option.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        frames: (F, 3, side, side) as the processor scales them.
        asked: Questions about the clip.
    """
    features = model.model.get_video_features(frames[None].to(model.dtype), return_dict=True).pooler_output
    features = torch.cat(list(features))  # (F * g * g, D)
    packed = pack(tokenizer, [[(question, question.options) for question in asked]], [len(features)])
    losses, of = answer_losses(model, packed, features)
    scores: list[list[float]] = []
    at = 0
    for question in asked:
        row = []
        for _ in question.options:
            row.append(-float(losses[of[:, 1] == at][:-1].mean()))  # without the end of the answer
            at += 1
        scores.append(row)
    return scores


def composed_outcomes(
    model: nn.Module, tokenizer: Any, clips: int, frames: int, pool: Pool, folder: Any = None
) -> list[dict[str, bool]]:
    """For each clip, kind by kind, whether the answer was right.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        clips: How many.
        frames: Of each.
        pool: `new` or `known`; see `compose`.
        folder: As in `compose`.
    """
    found = []
    for number in range(clips):
        clip = compose(MEASURED, number, frames, pool, folder)
        asked = list(questions_about(clip))
        scores = option_scores(model, tokenizer, as_pixels(clip.video()), asked)
        found.append(
            {
                question.kind: question.options[max(range(len(row)), key=row.__getitem__)] == question.answer
                for question, row in zip(asked, scores, strict=True)
            }
        )
    return found
