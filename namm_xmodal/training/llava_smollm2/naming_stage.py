"""First stage: the projector learns to put a picture where the language model has its name. The model itself is not run."""

import torch
from torch import Tensor, nn

from namm_xmodal.training.llava_smollm2.features import Bank

TEMPERATURE = 20.0


class NameSpace:
    """Names as points: the mean of their tokens' input embeddings, from the mean of all embeddings."""

    def __init__(self, embeddings: Tensor, tokenizer: object, bank: Bank) -> None:
        """Looks up all names of a bank.

        Args:
            embeddings: (V, D) of the language model.
            tokenizer: Its tokenizer.
            bank: The pictures.
        """
        self.centre = embeddings.float().mean(0)
        names = [picture.name for picture in bank.pictures]
        unique = list(dict.fromkeys(names))
        points = []
        for name in unique:
            ids = tokenizer(f" {name}", add_special_tokens=False)["input_ids"]  # type: ignore[operator]
            points.append(embeddings[torch.tensor(ids)].float().mean(0) - self.centre)
        self.points = torch.stack(points)  # (N, D)
        self.index = torch.tensor([unique.index(name) for name in names])
        self.unit = nn.functional.normalize(self.points, dim=1)

    def spelt(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """Frames that a perfect projector would put at their names.

        Args:
            pictures: (B,) places in the bank.
            noise: (B, g * g, D) standard normal, scaled by the caller in lengths of a name.

        Returns:
            (B, g * g, D).
        """
        points = self.points[self.index[pictures]][:, None]  # (B, 1, D)
        length = self.points.norm(dim=1).mean() / noise.shape[2] ** 0.5
        found: Tensor = self.centre + points + noise * length
        return found

    def loss(self, embedded: Tensor, pictures: Tensor) -> Tensor:
        """Cross-entropy of naming by cosine.

        Args:
            embedded: (B, g * g, D) projected frames.
            pictures: (B,) places in the bank.
        """
        found = nn.functional.normalize(embedded.mean(1) - self.centre, dim=1)
        return nn.functional.cross_entropy(TEMPERATURE * found @ self.unit.T, self.index[pictures])


@torch.no_grad()
def start_projector(projector: nn.Module, bank: Bank, names: NameSpace) -> None:
    """Folds a standardisation of the features into the first layer and starts the second at the scale of embeddings.

    Args:
        projector: transformers' own: linear_1, act, linear_2.
        bank: Gives the features' mean and deviation.
        names: Gives the centre.
    """
    first, second = projector.linear_1, projector.linear_2
    first.weight.div_(bank.deviation + 1e-3)  # type: ignore[union-attr,operator]
    first.bias.sub_(first.weight @ bank.mean)  # type: ignore[union-attr,operator]
    second.bias.copy_(names.centre)  # type: ignore[union-attr,operator]


@torch.no_grad()
def rescale_projector(projector: nn.Module, embedded: Tensor, names: NameSpace) -> None:
    """Scales projected frames so that their mean has the length that names have; without it they drown or shout.

    Args:
        projector: After the stage.
        embedded: (B, g * g, D) of some frames.
        names: The names.
    """
    length = (embedded.mean(1) - names.centre).norm(dim=1).mean()
    factor = names.points.norm(dim=1).mean() / length
    second = projector.linear_2
    second.weight.mul_(factor)  # type: ignore[union-attr,operator]
    second.bias.copy_(names.centre + (second.bias - names.centre) * factor)  # type: ignore[union-attr,operator]
