"""A batch of generated videos with all their questions as one conversation each."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from namm_xmodal.training.llava_small.dense_stage import cell_labels
from namm_xmodal.training.llava_small.pixels import as_pixels
from namm_xmodal.video.procedural.clip import make_clip
from namm_xmodal.video.procedural.questions import ClipQuestion, questions_about
from namm_xmodal.video.procedural.words import KINDS

IGNORED = -100
TOKENS_PER_FRAME = 9
_HARD = ("colour", "shape", "direction")


@dataclass(frozen=True)
class QABatch:
    """Videos of equal length.

    Attributes:
        pixels: (B, T, 3, side, side).
        ids: (B, L) tokens, padded on the right.
        labels: (B, L) the token itself where the model must produce it (answers and their ends), else -100.
        kinds: (B, L) place of the question's kind in `KINDS` where labels are, else -1.
        cells: (B * T * 9, 4) labels of the dense stage.
    """

    pixels: Tensor
    ids: Tensor
    labels: Tensor
    kinds: Tensor
    cells: Tensor


def qa_batch(tokenizer: PreTrainedTokenizerFast, seed: int, first: int, clips: int, frames: int) -> QABatch:
    """Clips `first` to `first + clips` of a list, each with a question of every kind, one turn after another.

    Kinds that take longest to learn are asked a second time, of another event where there is one.
    """
    videos, rows, cells = [], [], []
    for number in range(first, first + clips):
        clip = make_clip(seed, number, frames)
        videos.append(clip.video)
        cells.append(cell_labels(clip))
        again = questions_about(clip.scene, np.random.default_rng([seed, frames, number, 1]))
        known = {question.text for question in clip.questions}
        more = [question for question in again if question.kind in _HARD and question.text not in known]
        rows.append(conversation(tokenizer, [*clip.questions, *more], frames))
    length = max(len(ids) for ids, *_ in rows)
    ids = torch.full((clips, length), tokenizer.pad_token_id)
    labels, kinds = torch.full((clips, length), IGNORED), torch.full((clips, length), -1)
    for at, (tokens, wanted, of) in enumerate(rows):
        ids[at, : len(tokens)] = torch.tensor(tokens)
        labels[at, : len(wanted)] = torch.tensor(wanted)
        kinds[at, : len(of)] = torch.tensor(of)
    return QABatch(as_pixels(np.stack(videos)), ids, labels, kinds, torch.from_numpy(np.concatenate(cells)))


def conversation(
    tokenizer: PreTrainedTokenizerFast, questions: list[ClipQuestion], frames: int
) -> tuple[list[int], list[int], list[int]]:
    """Tokens, labels and kinds of `USER: <video> question ASSISTANT: answer</s> USER: ...`."""
    ids: list[int] = [tokenizer.bos_token_id]
    labels, kinds = [IGNORED], [-1]
    for turn, question in enumerate(questions):
        video = "<video>" * (TOKENS_PER_FRAME * frames) + "\n" if turn == 0 else ""
        asked = tokenizer(f"USER: {video}{question.text} ASSISTANT:", add_special_tokens=False)["input_ids"]
        answered = [*tokenizer(question.answer, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        ids += [*asked, *answered]
        labels += [IGNORED] * len(asked) + answered
        kinds += [-1] * len(asked) + [KINDS.index(question.kind)] * len(answered)
    return ids, labels, kinds
