"""Features of all pictures, computed once, and features for names of which there is no picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.extras import need
from namm_xmodal.training.llava_small.pixels import as_pixels
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.safetensors_file import read_safetensors
from namm_xmodal.video.composed.captions import MOST_WORDS
from namm_xmodal.video.composed.clip import KNOWN_VARIANTS
from namm_xmodal.video.composed.pictures import Picture, find_pictures
from namm_xmodal.video.composed.render import SIDE, render
from namm_xmodal.video.parts.assemble import make_tower
from namm_xmodal.video.parts.parts import Parts
from namm_xmodal.video.parts.tower_weights import classifier

SHRINKAGE = 0.1
LOGIT_GAIN = (3.0, 10.0)
"""How much a made-up feature raises its class's logit, in units that the classifier was trained with."""
RESIDUAL = 0.5


@dataclass(frozen=True)
class Bank:
    """What training draws frames from.

    Attributes:
        pictures: Known pictures, then one for each ImageNet class with a plain name, of which no picture exists.
        cells: (P, V, g * g, C) pooled features of the known pictures in each variant.
        directions: (N, C) where the features of each class lie from the mean, per unit of its logit.
        mean: (C,) of the known pictures' features.
        deviation: (C,) of the same.
    """

    pictures: tuple[Picture, ...]
    cells: Tensor
    directions: Tensor
    mean: Tensor
    deviation: Tensor

    @property
    def known(self) -> int:
        """P: pictures that exist."""
        return len(self.cells)

    def frame(self, picture: int, variant: int, rng: np.random.Generator) -> Tensor:
        """(g * g, C) features of one frame.

        A class without picture takes the place of a known picture: where that picture's cells differ from the mean, the
        class's direction is added, and half of the difference itself stays as noise.
        """
        if picture < self.known:
            return self.cells[picture, variant]
        at = int(rng.integers(self.known))
        difference = self.cells[at, variant] - self.mean  # (g * g, C)
        weight = difference.norm(dim=-1, keepdim=True)
        gain = float(rng.uniform(*LOGIT_GAIN))
        made = self.mean + RESIDUAL * difference + weight / weight.mean() * gain * self.directions[picture - self.known]
        clipped: Tensor = made.clamp(0, 6)
        return clipped  # the tower ends in a ReLU6


def class_names() -> list[str]:
    """The first name of each of the 1,000 ImageNet classes, as `timm` lists them."""
    info = need("timm.data", "the list of picture classes").ImageNetInfo()
    return [info.index_to_description(at).split(",")[0] for at in range(1000)]


def class_directions(features: Tensor, weights: Tensor) -> Tensor:
    """(N, C): where the features of each class lie, from its classifier alone.

    Were the features of every class Gaussian with one covariance S, the best linear classifier would have weights
    S^-1 (mean of the class - mean of all), so S times the weights points from the mean to the class.

    Args:
        features: (M, C) of real pictures, to estimate S.
        weights: (N, C).
    """
    centred = features - features.mean(0)
    covariance = centred.T @ centred / len(centred)
    diagonal = covariance.diagonal().mean()
    covariance = (1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal * torch.eye(len(covariance))
    centred_weights = weights - weights.mean(0)
    away = centred_weights @ covariance  # (N, C)
    return away / (away * centred_weights).sum(1, keepdim=True)


@torch.no_grad()
def picture_cells(parts: Parts, pictures: list[Picture], variants: int = KNOWN_VARIANTS) -> Tensor:
    """(P, V, g * g, C) pooled features; about 20 ms a frame."""
    tower = make_tower(parts)
    grid = parts.side // parts.patch
    rows = []
    for picture in pictures:
        frames = np.stack([render(picture, variant) for variant in range(variants)])
        features = tower(as_pixels(frames)).last_hidden_state  # (V, grid * grid, C)
        maps = features.transpose(1, 2).unflatten(2, (grid, grid))
        rows.append(nn.functional.avg_pool2d(maps, 2).flatten(2).transpose(1, 2))
    return torch.stack(rows)


def make_bank(parts: Parts, folder: Path, pictures: Path | None = None) -> Bank:
    """Computes the bank, or reads the features from `folder`, which keeps them in float16.

    Args:
        parts: The tower.
        folder: Of the run.
        pictures: As in `find_pictures`.
    """
    from safetensors.torch import save_file

    if parts.side != SIDE:
        raise ConfigError(f"parts.side={parts.side}: clips are composed at {SIDE} pixels; expected that")
    known = [picture for picture in find_pictures(pictures) if not picture.new]
    stored = folder / "features.safetensors"
    if not stored.is_file():
        cells = picture_cells(parts, known).half()
        with replacing(stored) as unfinished:
            save_file({"cells": cells}, unfinished)
    kept = read_safetensors(stored, error=DataError, expected="features of pictures", most=4096 * MIB)
    cells = kept["cells"].float()
    mean, deviation = cells.flatten(0, 2).mean(0), cells.flatten(0, 2).std(0)
    if not parts.tower_weights:
        return Bank(tuple(known), cells, torch.zeros(0, parts.width), mean, deviation)
    usable = [at for at, name in enumerate(class_names()) if len(name.split()) <= MOST_WORDS]
    directions = class_directions(cells.mean(2).flatten(0, 1), classifier())[usable]
    named = class_names()
    classes = [Picture(Path(), f"imagenet/{at}", named[at], "", False) for at in usable]
    return Bank((*known, *classes), cells, directions, mean, deviation)
