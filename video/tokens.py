"""From a prompt of texts and frames to embeddings with positions, in the chat format of the model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.video.at_hand import VideoModelAtHand
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.models import VideoModel
from namm_xmodal.video.visual_tokens import VisualTokens

_MARK = "\x1aprompt\x1a"


@dataclass(frozen=True)
class EmbeddedPrompt:
    """What the language model reads.

    Attributes:
        embeddings: (1, N, D).
        position_ids: (1, N), or (A, 1, N) where positions have several axes.
        places: (N, 3) frame, row and column of visual tokens, -1 for text.
        full: Visual tokens of the whole video, of which this prompt may hold fewer.
        candidates: Token ids of each option.
        for_layers: What the language model is given beside them, for early layers to add at visual tokens; see
            `VisionLanguageAdapter.forward`.
    """

    embeddings: Tensor
    position_ids: Tensor
    places: Tensor
    full: int
    candidates: tuple[tuple[int, ...], ...]
    for_layers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Tokens of the prompt."""
        return self.embeddings.shape[1]

    @property
    def visual(self) -> Tensor:
        """(N,) bool: which tokens are visual."""
        return self.places[:, 0] >= 0

    @property
    def next_position(self) -> int:
        """Position of the token that comes after the prompt."""
        return int(self.position_ids[..., -1].max()) + 1

    def following(self, first: int, rows: int = 1, count: int = 1) -> Tensor:
        """`position_ids` of `count` tokens after the prompt from number `first` on: (rows, count), or (A, rows, count)."""
        start = self.next_position + first
        positions = torch.arange(start, start + count, device=self.position_ids.device).expand(rows, -1)
        return positions if self.position_ids.ndim == 2 else positions.expand(len(self.position_ids), -1, -1)

    def inputs(self, start: int = 0, stop: int | None = None) -> dict[str, Any]:
        """What `Adapter.forward` takes to read tokens [start, stop)."""
        found: dict[str, Any] = {
            "inputs_embeds": self.embeddings[:, start:stop],
            "position_ids": self.position_ids[..., start:stop],
        }
        if self.for_layers:
            shown = self.for_layers["visual_pos_masks"]
            first, inside = int(shown[:, :start].sum()), int(shown[:, start:stop].sum())
            if inside:
                deep = [features[first : first + inside] for features in self.for_layers["deepstack_visual_embeds"]]
                found["stack_inputs"] = {
                    "visual_pos_masks": shown[:, start:stop],
                    "deepstack_visual_embeds": deep,
                }
        return found


def chat_text(loaded: VideoModel | VideoModelAtHand, prompt: Prompt) -> str:
    """The prompt in the model's chat format, one `<video>` for each range of frames.

    Raises:
        ItemError: If the text itself says `<video>`, which would be read as frames.
    """
    video = loaded.processor.video_token
    parts: list[str] = []
    for segment in prompt.segments:
        if isinstance(segment, str) and video in segment:
            raise ItemError(f"its text holds {video}, which this model reads as frames: expected text without it")
        parts.append(segment if isinstance(segment, str) else f"{video}\n")
    message = [{"role": "user", "content": [{"type": "text", "text": _MARK}]}]
    whole: str = loaded.processor.apply_chat_template(message, add_generation_prompt=True)
    head, mark, tail = whole.partition(_MARK)
    if not mark:
        raise DataError(f"model {loaded.name!r}: its chat template drops the message text; use another checkpoint")
    text = f"{head}{''.join(parts)}{tail}"
    return f"{text} {prompt.prefix}" if prompt.prefix else text


def embed_prompt(loaded: VideoModel, prompt: Prompt, visual: VisualTokens) -> EmbeddedPrompt:
    """Puts text and visual tokens together.

    Args:
        loaded: The model.
        prompt: The prompt.
        visual: Tokens of its video; frames that have none left vanish.

    Raises:
        ItemError: If the prompt or an option cannot be made into tokens.
        DataError: If the model cannot read any.
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    text = chat_text(loaded, prompt)
    ids: list[int] = tokenizer(text)["input_ids"]
    frames = [segment for segment in prompt.segments if isinstance(segment, range)]
    if ids.count(model.config.video_token_id) != len(frames):
        raise DataError(f"model {loaded.name!r}: its tokenizer splits the video token; expected one id for it")
    per_frame = visual.full // max(1, sum(map(len, frames)))
    embed = model.get_input_embeddings()
    pieces: list[Tensor] = []
    places: list[Tensor] = []
    positions: list[Tensor] = []
    now, waiting = 0, iter(frames)
    for token in ids:
        if token != model.config.video_token_id:
            pieces.append(embed(torch.tensor([token], device=model.device)))
            places.append(torch.full((1, 3), -1))
            positions.append(torch.tensor([now]))
            now += 1
            continue
        span = next(waiting)
        inside = (visual.places[:, 0] >= span.start) & (visual.places[:, 0] < span.stop)
        count = int(inside.sum())
        pieces.append(visual.features[inside.to(visual.features.device)])
        places.append(visual.places[inside])
        if visual.positions is None:
            positions.append(torch.arange(now, now + count))
            now += count
        else:
            positions.append(now + visual.positions[inside] - span.start * per_frame)
            now += len(span) * per_frame
    return EmbeddedPrompt(
        torch.cat(pieces)[None].to(model.dtype),
        torch.cat(positions)[None].to(model.device),
        torch.cat(places),
        visual.full,
        candidate_ids(tokenizer, text, prompt),
    )


def candidate_ids(tokenizer: Any, text: str, prompt: Prompt) -> tuple[tuple[int, ...], ...]:
    """Tokens by which each candidate continues the text.

    Raises:
        ItemError: If a candidate has none.
    """
    start: Sequence[int] = tokenizer(text)["input_ids"]
    joint = "" if prompt.prefix.endswith("(") else " "
    found = []
    for candidate in prompt.candidates:
        whole = tokenizer(f"{text}{joint}{candidate}")["input_ids"]
        if whole[: len(start)] == start:
            tokens = whole[len(start) :]
        else:  # the tokenizer merges across the boundary: take the candidate alone
            tokens = tokenizer(candidate, add_special_tokens=False)["input_ids"]
        if not tokens:
            raise ItemError(f"option {candidate!r}: the tokenizer returns no tokens for it")
        found.append(tuple(tokens))
    return tuple(found)
