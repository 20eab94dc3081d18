"""Clips with all their questions in one row each: every question sees the video and itself, as when asked alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.composed.questions import ComposedQuestion
from namm_xmodal.video.tokens import candidate_ids

IGNORED = -100


@dataclass(frozen=True)
class Packed:
    """A batch.

    Attributes:
        ids: (B, L) tokens; 0 where frames stand and on the right.
        visual: (B, L) where frames stand.
        positions: (B, L); every question goes on from the video.
        allowed: (B, 1, L, L) who sees whom.
        labels: (B, L) the next token where the model must produce it, else -100.
        segments: (B, L) number of the question, -1 for the video, -2 for padding.
    """

    ids: Tensor
    visual: Tensor
    positions: Tensor
    allowed: Tensor
    labels: Tensor
    segments: Tensor


def pack(tokenizer: Any, questions: Sequence[Sequence[tuple[ComposedQuestion, str]]], slots: Sequence[int]) -> Packed:
    """Packs clips.

    Args:
        tokenizer: With the video placeholder.
        questions: Of each clip, with the answer that each is to be given.
        slots: Visual tokens of each clip.
    """
    rows = [_row(tokenizer, asked, count) for asked, count in zip(questions, slots, strict=True)]
    length = max(len(row[0]) for row in rows)
    ids, positions = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.long)
    labels, segments = torch.full_like(ids, IGNORED), torch.full_like(ids, -2)
    visual = torch.zeros_like(ids, dtype=torch.bool)
    for at, (tokens, seen, places, wanted, of) in enumerate(rows):
        end = len(tokens)
        ids[at, :end], visual[at, :end] = torch.tensor(tokens), torch.tensor(seen)
        positions[at, :end], labels[at, :end] = torch.tensor(places), torch.tensor(wanted)
        segments[at, :end] = torch.tensor(of)
    order = torch.arange(length)
    same = (segments[:, :, None] == segments[:, None, :]) | (segments[:, None, :] == -1)  # (B, L, L)
    allowed = same & (order[None, :] <= order[:, None])
    return Packed(ids, visual, positions, allowed[:, None], labels, segments)


def _row(
    tokenizer: Any, asked: Sequence[tuple[ComposedQuestion, str]], slots: int
) -> tuple[list[int], list[bool], list[int], list[int], list[int]]:
    """Tokens, which are visual, positions, labels and segments of one clip."""
    ids: list[int] = []
    visual: list[bool] = []
    positions: list[int] = []
    labels: list[int] = []
    segments: list[int] = []
    for number, (question, answer) in enumerate(asked):
        text = f"USER: {tokenizer.video_token}\n{question.text} ASSISTANT:"  # as chat_text makes it
        whole = tokenizer(text)["input_ids"]
        place = whole.index(tokenizer.video_token_id)
        if number == 0:
            head = [*whole[:place], *([0] * slots)]
            ids += head
            visual += [False] * place + [True] * slots
            positions += range(len(head))
            labels += [IGNORED] * len(head)
            segments += [-1] * len(head)
        said = [*candidate_ids(tokenizer, text, Prompt((), (answer,)))[0], tokenizer.eos_token_id]
        tail = whole[place + 1 :]
        ids += [*tail, *said]
        visual += [False] * (len(tail) + len(said))
        positions += range(place + slots, place + slots + len(tail) + len(said))
        labels += [*([IGNORED] * (len(tail) - 1)), *said, IGNORED]
        segments += [number] * (len(tail) + len(said))
    return ids, visual, positions, labels, segments


def answer_losses(model: Any, packed: Packed, features: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of all answers' tokens.

    Args:
        model: A LLaVA-type model.
        packed: The batch.
        features: (N, D) projected frames of all clips, in order.

    Returns:
        (M,) cross-entropies and (M, 2) the row and the question of each.
    """
    embedded = model.get_input_embeddings()(packed.ids)
    embedded = embedded.masked_scatter(packed.visual[..., None], features.to(embedded.dtype))
    bias = torch.zeros(packed.allowed.shape, dtype=embedded.dtype)
    bias.masked_fill_(~packed.allowed, torch.finfo(embedded.dtype).min)
    hidden = model.model.language_model(
        inputs_embeds=embedded, attention_mask=bias, position_ids=packed.positions, use_cache=False
    ).last_hidden_state
    wanted = packed.labels != IGNORED
    logits = model.lm_head(hidden[wanted]).float()
    losses = torch.nn.functional.cross_entropy(logits, packed.labels[wanted], reduction="none")
    rows = wanted.nonzero()[:, 0]
    return losses, torch.stack([rows, packed.segments[wanted]], 1)
