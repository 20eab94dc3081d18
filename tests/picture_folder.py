"""Tiny parts, and captioned pictures as Tux Paint's stamps are: shapes on transparent ground, made-up names."""

import numpy as np
from PIL import Image

from namm_xmodal.video.parts.parts import Parts

PARTS = Parts(tower="test_efficientnet", tower_weights="", width=256, language="tiny-random", rank=2)
"""Tiny random parts."""
SYLLABLES = ("ba", "co", "di", "fu", "ge", "ha")


def make_pictures(folder, count=90):
    """X.png beside X.txt; a third of them below folders that tell their kind."""
    rng = np.random.default_rng(0)
    kinds = ("animals/birds", "food/fruit", "vehicles", "other", "other", "other")
    for number in range(count):
        name = "".join(SYLLABLES[number // 6**at % 6] for at in range(3)) + "n"
        place = folder / kinds[number % len(kinds)]
        place.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((20, 16, 4), dtype=np.uint8)
        pixels[2:18, 3:13] = (*rng.integers(0, 180, 3), 255)
        Image.fromarray(pixels).save(place / f"{name}.png")
        (place / f"{name}.txt").write_text(f"A {name}.\n")
    return folder
