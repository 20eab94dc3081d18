"""Clips with all their questions in one row each: every question sees the video and itself, as when asked alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.composed.questions import ComposedQuestion
from namm_xmodal.video.tokens import candidate_ids

IGNORED = -100
VIDEO, PADDING = -1, -2


@dataclass(frozen=True)
class Packed:
    """A batch.

    Attributes:
        ids: (B, L) tokens; 0 where frames stand and on the right.
        visual: (B, L) where frames stand.
        positions: (B, L); every question goes on from the video.
        allowed: (B, 1, L, L) who sees whom.
        labels: (B, L) the next token where the model must produce it, else -100.
        answers: (B, L) number of the answer among all answers of the clip, -1 for what comes before one.
    """

    ids: Tensor
    visual: Tensor
    positions: Tensor
    allowed: Tensor
    labels: Tensor
    answers: Tensor


def pack(
    tokenizer: Any, questions: Sequence[Sequence[tuple[ComposedQuestion, Sequence[str]]]], slots: Sequence[int]
) -> Packed:
    """Packs clips.

    Args:
        tokenizer: With the video placeholder.
        questions: Of each clip, with the answers that each is to be given, one as if there were no other.
        slots: Visual tokens of each clip.
    """
    rows = [_row(tokenizer, asked, count) for asked, count in zip(questions, slots, strict=True)]
    length = max(len(row) for row in rows)
    padding = _Token(0, 0, 0, IGNORED, PADDING, -1)
    table = torch.tensor([[*row, *([padding] * (length - len(row)))] for row in rows])  # (B, L, 6)
    ids, visual, positions, labels, of, answers = table.unbind(-1)
    order = torch.arange(length)
    same = of[:, :, None] == of[:, None, :]  # (B, L, L)
    mine = (answers[:, None, :] == -1) | (answers[:, :, None] == answers[:, None, :])
    allowed = ((same & mine) | (of[:, None, :] == VIDEO)) & (order[None, :] <= order[:, None])
    return Packed(ids, visual.bool(), positions, allowed[:, None], labels, answers)


class _Token(NamedTuple):
    """A place of a row; `of` is the number of its question, or `VIDEO` or `PADDING`."""

    id: int
    visual: int
    position: int
    label: int
    of: int
    answer: int


def _row(tokenizer: Any, asked: Sequence[tuple[ComposedQuestion, Sequence[str]]], slots: int) -> list[_Token]:
    """One clip: the video, and for each question its text and its answers.

    The last token of the text, which predicts how an answer begins, stands in front of every answer anew.
    """
    row: list[_Token] = []
    said = 0
    for number, (question, answers) in enumerate(asked):
        text = f"USER: {tokenizer.video_token}\n{question.text} ASSISTANT:"  # as chat_text makes it
        whole = tokenizer(text)["input_ids"]
        place = whole.index(tokenizer.video_token_id)
        if number == 0:
            row += [_Token(token, 0, at, IGNORED, VIDEO, -1) for at, token in enumerate(whole[:place])]
            row += [_Token(0, 1, place + at, IGNORED, VIDEO, -1) for at in range(slots)]
        *shared, last = whole[place + 1 :]
        start = place + slots
        row += [_Token(token, 0, start + at, IGNORED, number, -1) for at, token in enumerate(shared)]
        start += len(shared)
        for ids in candidate_ids(tokenizer, text, Prompt((), tuple(answers))):
            tokens, labels = (last, *ids, tokenizer.eos_token_id), (*ids, tokenizer.eos_token_id, IGNORED)
            row += [
                _Token(token, 0, start + at, label, number, said)
                for at, (token, label) in enumerate(zip(tokens, labels, strict=True))
            ]
            said += 1
    return row


def answer_losses(model: Any, packed: Packed, features: Tensor) -> tuple[Tensor, Tensor]:
    """Losses of all answers' tokens.

    Args:
        model: A LLaVA-type model.
        packed: The batch.
        features: (N, D) projected frames of all clips, in order.

    Returns:
        (M,) cross-entropies and (M, 2) the row and the answer of each.
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
    return losses, torch.stack([rows, packed.answers[wanted]], 1)
