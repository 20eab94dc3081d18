"""Low-rank additions to frozen linear layers (LoRA; Hu et al., arXiv 2106.09685)."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")


class LowRank(nn.Module):
    """The trained part: y = scale * x down^T up^T.

    Args:
        inputs: Width of x.
        outputs: Width of y.
        rank: Of the product.
        scale: Of the product.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
        self.up = nn.Parameter(torch.zeros(outputs, rank))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs), in the precision of x."""
        y: Tensor = x @ self.down.to(x.dtype).T @ self.up.to(x.dtype).T * self.scale
        return y


class WithLowRank(nn.Module):
    """A frozen layer and its addition."""

    def __init__(self, base: nn.Linear, added: LowRank) -> None:
        super().__init__()
        self.base, self.added = base, added

    def forward(self, x: Tensor) -> Tensor:
        """The sum of both."""
        y: Tensor = self.base(x) + self.added(x)
        return y


def add_low_rank(model: nn.Module, rank: int, scale: float, targets: Sequence[str] = TARGETS) -> nn.ModuleDict:
    """Freezes a model and wraps its target layers.

    Args:
        model: Changed in place.
        rank: Of every addition.
        scale: Of every addition.
        targets: Last parts of the layers' names.

    Returns:
        The additions, by the layers' names with `/` for `.`; nothing else in the model is trained.
    """
    model.requires_grad_(False)
    additions = nn.ModuleDict()
    for name, layer in list(model.named_modules()):
        parent, _, last = name.rpartition(".")
        if last in targets and isinstance(layer, nn.Linear):
            added = LowRank(layer.in_features, layer.out_features, rank, scale)
            additions[name.replace(".", "/")] = added
            setattr(model.get_submodule(parent), last, WithLowRank(layer, added))
    return additions


@torch.no_grad()
def merge_low_rank(model: nn.Module, trained: Mapping[str, Tensor], scale: float) -> None:
    """Adds trained products to the weights of a model that was never wrapped, so that it runs at its old speed.

    Args:
        model: Changed in place.
        trained: `LAYER.down` and `LAYER.up`, with `/` for `.` in layers' names.
        scale: As in training.
    """
    for key, down in trained.items():
        if key.endswith(".down"):
            name = key.removesuffix(".down")
            layer = model.get_submodule(name.replace("/", "."))
            assert isinstance(layer, nn.Linear)
            product = trained[f"{name}.up"].float() @ down.float() * scale
            layer.weight.copy_((layer.weight.float() + product).to(layer.weight.dtype))
