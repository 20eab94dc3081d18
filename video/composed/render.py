"""Frames of a clip: a picture on plain ground, a little elsewhere and of another size in every frame."""

import hashlib
import warnings
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import DataError
from namm_xmodal.extras import need
from namm_xmodal.trust.files import MIB, check_file, refusing
from namm_xmodal.video.composed.pictures import Picture

need("PIL", "clips of pictures")
from PIL import Image  # noqa: E402

SIDE = 192
"""Pixels of a frame's side."""
MOST_PIXELS = 40_000_000
"""Of a picture that is read; a megabyte may stand for billions."""


def render(picture: Picture, variant: int) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) uint8: one frame.

    Args:
        picture: What is shown.
        variant: Decides, with the picture, place, size, mirroring and colour of the ground.
    """
    digest = hashlib.sha256(picture.key.encode()).digest()
    rng = np.random.default_rng([int.from_bytes(digest[:4], "big"), variant])
    source = _read(picture)
    room = SIDE * float(rng.uniform(0.72, 0.96))
    scale = room / max(source.size)
    size = (max(1, round(source.width * scale)), max(1, round(source.height * scale)))
    drawn = source.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if rng.random() < 0.5:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    ground = tuple(int(each) for each in rng.integers(190, 256, 3))
    frame = Image.new("RGB", (SIDE, SIDE), ground)
    corner = (int(rng.integers(0, SIDE - size[0] + 1)), int(rng.integers(0, SIDE - size[1] + 1)))
    frame.paste(drawn, corner, drawn)
    return np.asarray(frame, dtype=np.uint8)


@lru_cache(maxsize=64)
def _read(picture: Picture) -> Image.Image:
    """The picture without empty margins; at most 512 pixels a side, which bounds memory."""
    expected = "a picture; remove it or download it again"
    check_file(picture.path, error=DataError, expected=expected, most=64 * MIB)
    with refusing(picture.path, error=DataError, expected=expected), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(picture.path) as file:
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"{file.width} x {file.height} pixels")
            image = file.convert("RGBA")
    image.thumbnail((512, 512))
    return image.crop(image.getchannel("A").getbbox() or (0, 0, *image.size))
