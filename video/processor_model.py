"""Any other vision-language model of transformers that takes videos: its own processor and its own encoder make the prompt.

Qwen2.5-VL, Qwen3-VL, LLaVA-OneVision, InternVL, SmolVLM and kin. The call of the language model inside is intercepted: its
embeddings (visual tokens in their places), positions, and features for deeper layers. They make a prompt that is read in
parts, under any policy, as that of LLaVA-NeXT-Video is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.errors import DataError, ItemError
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.models import VideoModel
from namm_xmodal.video.tokens import EmbeddedPrompt, candidate_ids

_FOR_LAYERS = ("visual_pos_masks", "deepstack_visual_embeds")
"""What the language model of Qwen3-VL is given beside embeddings: features that early layers add at visual tokens."""


class _Intercepted(Exception):
    """The language model was called; its arguments are known."""


@dataclass(frozen=True)
class ProcessorVideo:
    """Frames, which the model's processor reads anew for each question.

    Attributes:
        frames: (F, height, width, 3) uint8.
        rate: Frames a second.
        grid: Cells on a side that reports tell apart in a frame; classes differ too much for more than whole frames.
        read: Text of a prompt to what was made of it, for the policies that are tried on it one after the other.
    """

    frames: NDArray[np.uint8]
    rate: float
    grid: int = 1
    read: dict[str, tuple[Mapping[str, Any], Tensor]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ProcessorVideoModel(VideoModel):
    """See the module; attributes as in `VideoModel`."""

    leaves_out_tokens: ClassVar[bool] = False

    def encode(self, frames: NDArray[np.uint8], times: Sequence[float] = ()) -> ProcessorVideo:
        """See `VideoModel.encode`: nothing is computed before there is a question."""
        seconds = times[-1] - times[0] if len(times) > 1 else 0.0
        return ProcessorVideo(frames, (len(times) - 1) / seconds if seconds > 0 else 1.0)

    @torch.no_grad()
    def embed(self, prompt: Prompt, seen: Any) -> EmbeddedPrompt:
        """See `VideoModel.embed`."""
        text = self._chat_text(prompt)
        if text not in seen.read:
            seen.read[text] = self._read(text, prompt, seen)
        given, ids = seen.read[text]
        embeddings, length = given["inputs_embeds"], ids.shape[1]
        self._check_length(length)
        positions = given.get("position_ids")
        if positions is None:
            positions = torch.arange(length, device=embeddings.device)[None]
        places = self._places(ids[0], prompt, len(seen.frames))
        return EmbeddedPrompt(
            embeddings,
            positions,
            places,
            int((places[:, 0] >= 0).sum()),
            candidate_ids(self.tokenizer, text, prompt),
            {name: given[name] for name in _FOR_LAYERS if given.get(name) is not None},
        )

    def rope_factor(self, prompt: EmbeddedPrompt, more: int) -> int:
        """1: such models have positions of their own, and `embed` refuses prompts beyond them."""
        return 1

    def _chat_text(self, prompt: Prompt) -> str:
        """The prompt in the model's chat format, with a placeholder for each range of frames.

        Raises:
            ItemError: If the text itself holds a placeholder.
        """
        marks = [getattr(self.processor, f"{kind}_token", None) for kind in ("video", "image")]
        content: list[dict[str, str]] = []
        for segment in prompt.segments:
            if isinstance(segment, range):
                content.append({"type": "video"})
                continue
            held = next((mark for mark in marks if isinstance(mark, str) and mark in segment), None)
            if held is not None:
                raise ItemError(f"its text holds {held}, which this model reads as frames: expected text without it")
            content.append({"type": "text", "text": segment})
        message = [{"role": "user", "content": content}]
        text: str = self.processor.apply_chat_template(message, add_generation_prompt=True, tokenize=False)
        return f"{text} {prompt.prefix}" if prompt.prefix else text

    def _read(self, text: str, prompt: Prompt, seen: ProcessorVideo) -> tuple[Mapping[str, Any], Tensor]:
        """See `_given`; frame by frame where the processor wants videos of equal length and the prompt has others."""
        try:
            return self._given(text, prompt, seen)
        except ItemError:
            if len({len(span) for span in _spans(prompt)}) < 2:
                raise
        alone = tuple(
            piece
            for segment in prompt.segments
            for piece in ([range(at, at + 1) for at in segment] if isinstance(segment, range) else [segment])
        )
        single = Prompt(alone, prompt.candidates, prompt.prefix)
        return self._given(self._chat_text(single), single, seen)

    def _given(self, text: str, prompt: Prompt, seen: ProcessorVideo) -> tuple[Mapping[str, Any], Tensor]:
        """What the language model inside is called with, and the token ids behind it."""
        from transformers.video_utils import VideoMetadata

        clips = [seen.frames[span.start : span.stop] for span in _spans(prompt)]
        about = [
            VideoMetadata(
                total_num_frames=len(clip),
                fps=seen.rate,
                duration=len(clip) / seen.rate,
                frames_indices=list(range(len(clip))),
            )
            for clip in clips
        ]
        videos = {"videos": [list(clip) for clip in clips], "video_metadata": about} if clips else {}
        try:
            inputs = self.processor(text=[text], **videos, do_sample_frames=False, return_tensors="pt")
        except (ValueError, TypeError, IndexError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ItemError(f"the processor of {self.name!r} does not take it: {reason}") from error
        fitting = {
            name: value.to(self.model.device, self.model.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
            if isinstance(value, Tensor)
        }
        decoder, found = self.model.get_decoder(), dict[str, Any]()

        def intercept(module: torch.nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
            found.update(kwargs)
            raise _Intercepted

        handle = decoder.register_forward_pre_hook(intercept, with_kwargs=True)
        try:
            self.model(**fitting, use_cache=False)
        except _Intercepted:
            pass
        except ValueError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DataError(
                f"model {self.name!r}: its processor does not fit its weights ({reason}); use a checkpoint that "
                "includes both"
            ) from error
        finally:
            handle.remove()
        if found.get("inputs_embeds") is None:
            raise DataError(
                f"model {self.name!r}: its language model does not take embeddings; expected a model whose language "
                "model does"
            )
        return found, fitting["input_ids"].cpu()

    def _check_length(self, length: int) -> None:
        most = getattr(self.model.config.get_text_config(decoder=True), "max_position_embeddings", None)
        if most is not None and length > int(most):
            raise ItemError(f"{length:,} tokens, and the model has {int(most):,} positions; use fewer frames")

    def _places(self, ids: Tensor, prompt: Prompt, frames: int) -> Tensor:
        """(N, 3) frame of visual tokens, in equal parts along each range of frames, row and column 0; -1 for text."""
        config = self.model.config
        marks = {
            getattr(config, f"{kind}_token_{what}", None) for kind in ("video", "image") for what in ("id", "index")
        }
        visual = torch.isin(ids, torch.tensor(sorted(mark for mark in marks if mark is not None)))
        shown = [frame for span in _spans(prompt) for frame in span]
        places = torch.full((len(ids), 3), -1)
        count = int(visual.sum())
        which = torch.arange(count) * len(shown) // max(1, count)
        places[visual] = 0
        places[visual, 0] = torch.tensor(shown, dtype=torch.long)[which] if count else places[visual, 0]
        return places


def _spans(prompt: Prompt) -> list[range]:
    """Its ranges of frames."""
    return [segment for segment in prompt.segments if isinstance(segment, range)]
