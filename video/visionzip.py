"""VisionZip: keeps visual tokens that the vision tower attends to, and merges the others into a few."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError, UnsupportedModelError
from namm_xmodal.video.vision import FRAMES_AT_ONCE, EncodedVideo
from namm_xmodal.video.visual_tokens import VisualTokens, all_tokens, keep


@dataclass(frozen=True)
class VisionZip:
    """VisionZip without training (Yang et al., arXiv 2412.04467): dominant tokens, and merged contextual ones.

    Dominant are the tokens of a frame that receive most attention in the tower's layer from which features are taken: from
    the class token, or, where it has none, from all tokens on average; summed over heads. Of the others, targets at even
    distances are chosen, and every other one joins the target whose key (mean over heads) is nearest to its own by
    cosine; the mean of what joined, the target included, is a contextual token. Features are merged before the projector.

    Deviations from the paper. (1) Where a model pools patches after the tower, as LLaVA-NeXT-Video does, tokens are
    pooled cells: attention and keys are means over the patches of a cell. (2) The class token itself is not kept, since
    such models never read it. (3) The size is of the video; frames share it evenly, earlier ones have the remainder. A
    frame of a single token has a dominant one. (4) Tokens keep the positions of the whole video, contextual ones that of
    their target, and stand in that order; the published code puts contextual ones last and closes up. (5) The tower runs a
    second time, to see its attention.

    Attributes:
        contextual: Share of a frame's tokens that are merged ones, at least one of two or more; 10 of 64, 20 of 128
            and 30 of 192 in the paper.
        asked: Whose attention counts. `class`: the class token's, where features have one before them. `all`: that of all
            tokens on average, as where there is none; for towers whose class token was never trained to look at anything,
            such as that of `llava-small`.
    """

    contextual: float = 0.15625
    asked: Literal["class", "all"] = "class"

    def __post_init__(self) -> None:
        """Refuses a share that leaves no dominant token.

        Raises:
            ConfigError: With the value given and what is expected.
        """
        number = isinstance(self.contextual, int | float) and not isinstance(self.contextual, bool)
        if not number or not 0 <= self.contextual < 1:
            raise ConfigError(f"contextual={self.contextual!r}: expected a share in [0, 1), as 0.15625 in the paper")
        if self.asked not in ("class", "all"):
            raise ConfigError(f"asked={self.asked!r}: expected class or all")

    @torch.no_grad()
    def reduce(self, model: Any, video: EncodedVideo, share: float) -> VisualTokens:
        """Keeps round(share * N) tokens, at least one.

        Raises:
            UnsupportedModelError: If the model's vision tower is no transformer whose attention can be seen.
        """
        whole = all_tokens(video)
        frames, cells, _ = video.features.shape
        received, keys = tower_attention(model, video.pixels, self.asked)
        received = pooled(received[..., None], cells)[..., 0]  # (F, N)
        keys = pooled(keys, cells)  # (F, N, K)
        states = model.model.vision_resampler(video.patches)  # (F, N, C), before the projector
        each, more = divmod(max(1, round(share * whole.full)), frames)
        indices, features = [], []
        for frame in range(frames):
            count = each + (frame < more)
            merged = 0 if count < 2 else min(count - 1, max(self.contextual > 0, round(self.contextual * count)))
            chosen, zipped = zip_frame(received[frame], keys[frame], states[frame], count - merged, merged)
            indices.append(frame * cells + chosen)
            features.append(zipped)
        kept = keep(whole, torch.cat(indices))
        return replace(kept, features=model.model.multi_modal_projector(torch.cat(features)[None])[0])


def zip_frame(received: Tensor, keys: Tensor, states: Tensor, dominant: int, contextual: int) -> tuple[Tensor, Tensor]:
    """Indices (n,) of dominant tokens and of the targets of merged ones, ascending, and their features (n, C).

    Args:
        received: (N,) attention that each token received.
        keys: (N, K).
        states: (N, C).
        dominant: Tokens that stay as they are.
        contextual: Tokens that the others are merged into; at most N together.
    """
    first = received.argsort(descending=True, stable=True)[:dominant]
    if not contextual:
        chosen = first.sort().values
        return chosen, states[chosen]
    rest = torch.ones(len(received), dtype=torch.bool, device=received.device)
    rest[first] = False
    others = rest.nonzero()[:, 0]  # (R,), in order
    step = max(1, len(others) // contextual)
    is_target = torch.zeros(len(others), dtype=torch.bool, device=received.device)
    is_target[torch.arange(0, len(others), step)[:contextual]] = True
    targets, joining = others[is_target], others[~is_target]
    unit = torch.nn.functional.normalize(keys.float(), dim=-1)
    nearest = (unit[joining] @ unit[targets].T).argmax(-1)
    sums = states[targets].index_add(0, nearest, states[joining])
    sizes = 1 + torch.bincount(nearest, minlength=len(targets))
    chosen, order = torch.cat([first, targets]).sort()
    return chosen, torch.cat([states[first], sums / sizes[:, None]])[order]


def pooled(values: Tensor, cells: int) -> Tensor:
    """(F, P * P, C) means over the patches of each of `cells` square cells: (F, cells, C)."""
    side, grid = round(values.shape[1] ** 0.5), round(cells**0.5)
    spatial = values.transpose(1, 2).unflatten(2, (side, side))  # (F, C, P, P)
    return torch.nn.functional.adaptive_avg_pool2d(spatial.float(), grid).flatten(2).transpose(1, 2)


def tower_attention(model: Any, pixels: Tensor, asked: str = "class") -> tuple[Tensor, Tensor]:
    """Attention that each patch receives, (F, P * P), and its key averaged over heads, (F, P * P, K).

    Both are of the tower's layer that gives the model its features (the last of several), computed from the queries and
    keys of a forward of its own.

    Args:
        model: The video model.
        pixels: (F, 3, height, width).
        asked: See `VisionZip`.

    Raises:
        UnsupportedModelError: If the tower has no such layer.
    """
    chosen = model.config.vision_feature_layer
    chosen = chosen if isinstance(chosen, int) else chosen[-1]
    tower = model.model.vision_tower
    layers = [each for each in tower.modules() if hasattr(each, "q_proj") and hasattr(each, "k_proj")]
    # A feature layer counts hidden states, of which the first comes before any layer.
    place = chosen if chosen < 0 else chosen - 1
    if not -len(layers) <= place < len(layers) or chosen == 0:
        raise UnsupportedModelError(
            f"VisionZip: a vision tower of type {model.config.vision_config.model_type} gives no attention of its "
            f"feature layer {chosen}; expected a transformer such as CLIP or SigLIP, or use another reduction"
        )
    attention, seen = layers[place], dict[str, Tensor]()
    hooks = [
        getattr(attention, f"{name}_proj").register_forward_hook(
            lambda module, args, output, name=name: seen.update({name: output})
        )
        for name in ("q", "k")
    ]
    received, keys = [], []
    default = model.config.vision_feature_select_strategy == "default"  # a class token comes first
    try:
        for chunk in pixels.split(FRAMES_AT_ONCE):
            tower(chunk.to(model.device, model.dtype))
            queries, own = (
                seen[name].float().unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for name in ("q", "k")
            )  # (F, heads, tokens, K)
            asking = queries[:, :, :1] if default and asked == "class" else queries
            weights = (asking @ own.transpose(-1, -2) * own.shape[-1] ** -0.5).softmax(-1)
            received.append(weights.mean(2).sum(1)[:, int(default) :])
            keys.append(own.mean(1)[:, int(default) :])
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(received), torch.cat(keys)
