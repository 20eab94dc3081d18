"""Which patches of which frames each policy still holds when the answer is due, and how likely it finds the answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.memory import pruned
from namm_xmodal.modalities.video.arms import cache_room, with_room
from namm_xmodal.modalities.video.prefix import read_prefix, tokens_after_video
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.types import ONCE, ReadingSchedule
from namm_xmodal.video.benchmarks.question import Prompt
from namm_xmodal.video.models import VideoModel
from namm_xmodal.video.rope import scaled_rope
from namm_xmodal.video.tokens import EmbeddedPrompt


@dataclass(frozen=True)
class VideoInspection:
    """One policy on one question.

    Attributes:
        policy: Its name.
        kept: (layers, F, g, g) share of the layer's heads that hold each cell of each frame.
        probabilities: Of each option among the options; of a single one, the geometric mean over its tokens.
    """

    policy: str
    kept: NDArray[np.float64]
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        best = max(self.probabilities, key=lambda option: self.probabilities[option])
        return f"VideoInspection({self.policy}: {self.kept.mean():.1%} of the patches kept, answers {best!r})"

    def share(self, layer: int | None = None) -> NDArray[np.float64]:
        """(F, g, g): of one layer, or averaged over all."""
        chosen: NDArray[np.float64] = self.kept.mean(0) if layer is None else self.kept[layer]
        return chosen

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "policy": self.policy,
            "kept": round(float(self.kept.mean()), 4),
            "probabilities": {option: round(value, 4) for option, value in self.probabilities.items()},
            "kept_by_layer_frame_row_column": self.kept.round(3).tolist(),
        }


@torch.no_grad()
def inspect_video(
    loaded: VideoModel,
    frames: NDArray[np.uint8],
    question: str,
    options: tuple[str, ...],
    policies: Mapping[str, Any],
    *,
    share: float,
    update_every: int,
    schedule: ReadingSchedule = "streaming",
    protect_first: int = 1,
    protect_recent: int = 4,
) -> list[VideoInspection]:
    """Asks one question under several policies; the video is encoded once.

    Args:
        loaded: The model.
        frames: (F, height, width, 3) uint8.
        question: The question.
        options: Answers to compare; what the model says with a full cache if empty.
        policies: Name to policy, None for the full cache.
        share: Of the visual tokens that may remain.
        update_every: Tokens between updates.
        schedule: `streaming`, `post_context` or `post_prefill`.
        protect_first: Oldest tokens that stay.
        protect_recent: Newest tokens that stay.
    """
    video = loaded.encode(frames)
    count, grid = len(frames), video.grid
    if not options:
        said = loaded.embed(Prompt((range(count), question), (".",)), video)
        with pruned(loaded.model, None) as memory:
            options = (answer(memory, said, loaded.tokenizer, 16).text or "(nothing)",)
    prompt = loaded.embed(Prompt((range(count), question), options), video)
    text = int((~prompt.visual).sum())
    factor = loaded.rope_factor(prompt, 16)
    every = update_every if schedule == "streaming" else None
    protected = protect_first + protect_recent
    found = []
    for name, policy in policies.items():
        if policy is not None:
            room = cache_room(
                share,
                full=prompt.full,
                visual=prompt.full,
                text=text,
                every=every,
                protected=protected,
                asked=tokens_after_video(prompt) if schedule == "post_context" else 0,
            )
            policy = with_room(policy, room, prompt.visual)
        with (
            scaled_rope(loaded.model, factor),
            pruned(
                loaded.model,
                policy,
                update_every=update_every,
                schedule="post_prefill" if schedule in ONCE else "streaming",
                protect_first=protect_first,
                protect_recent=protect_recent,
            ) as memory,
        ):
            read = read_prefix(memory, prompt, frozen=True) if schedule == "post_context" else None
            given = answer(memory, prompt, prefix=read)
            cache = memory.last_cache
        assert cache is not None
        alone = len(options) == 1
        values = torch.tensor(given.scores("mean" if alone else "sum"))
        probabilities = values.exp() if alone else values.softmax(0)
        by_option = dict(zip(options, probabilities.tolist(), strict=True))
        found.append(VideoInspection(name, kept_cells(cache, prompt, count, grid), by_option))
    return found


def kept_cells(cache: PrunedCache, prompt: EmbeddedPrompt, frames: int, grid: int) -> NDArray[np.float64]:
    """(layers, F, g, g): share of heads that hold each cell.

    Args:
        cache: After the prompt.
        prompt: Says where each token stands.
        frames: F.
        grid: g.
    """
    places = prompt.places[prompt.visual]
    cells = ((places[:, 0] * grid + places[:, 1]) * grid + places[:, 2]).numpy()
    tokens = np.bincount(cells, minlength=frames * grid * grid).clip(min=1)  # of each cell
    kept = []
    for layer in cache.pruned:
        index = layer.index[0].cpu()  # (H, S), -1 in dead slots
        held = torch.zeros(index.shape[0], prompt.length + 1, dtype=torch.bool)
        held.scatter_(1, index.masked_fill(index < 0, prompt.length), True)
        share = held[:, :-1][:, prompt.visual].double().mean(0).numpy()
        of_layer = np.bincount(cells, share, minlength=frames * grid * grid)
        kept.append((of_layer / tokens).reshape(frames, grid, grid))
    return np.stack(kept)
