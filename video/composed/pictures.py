"""Captioned pictures: those of Tux Paint's stamps, or any folder of X.png beside X.txt."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from namm_xmodal.errors import DataError
from namm_xmodal.language.debian_texts import DebianSource, unpack_package
from namm_xmodal.video.composed.captions import concept, short_name

STAMPS = DebianSource(
    "tuxpaint-stamps-default",
    "GPL-2",
    "pictures with captions, drawn and photographed, 465 of them in use",
    lambda _: [],
)
STAMPS_FOLDER = "usr/share/tuxpaint/stamps"
HELD_OUT = 4
"""One concept in so many is kept for evaluation."""
FEWEST = 12
"""Pictures of each half without which no clips can be composed."""

KINDS = {
    "animals/birds": "bird",
    "animals/fish": "fish",
    "animals/insects": "insect",
    "animals/mammals": "mammal",
    "animals/marsupials": "mammal",
    "clothes": "clothing",
    "food/fruit": "fruit",
    "food/vegetables": "vegetable",
    "hobbies/music": "instrument",
    "household": "tool",
    "plants/flowers": "flower",
    "town/roadsigns": "sign",
    "vehicles": "vehicle",
}
"""Folders of the stamps whose pictures are of one kind; others have a name only."""


@dataclass(frozen=True)
class Picture:
    """A picture that clips are made of.

    Attributes:
        path: The PNG file.
        key: Its place below the folder of pictures, without suffix.
        name: What it shows, one to three words.
        kind: Bird, fruit, vehicle and so on; empty if it is of none of these.
        new: Whether its concept is kept for evaluation, so that no picture of it was trained on.
    """

    path: Path
    key: str
    name: str
    kind: str
    new: bool

    @property
    def concept(self) -> str:
        """The last word of its name."""
        return concept(self.name)

    def clashes(self, other: "Picture") -> bool:
        """Whether both could be meant by one word."""
        mine, its = {self.concept, self.kind} - {""}, {other.concept, other.kind} - {""}
        return self.concept == other.concept or self.concept in its or other.concept in mine


def is_new(name: str) -> bool:
    """Whether a concept is kept for evaluation: decided by a hash of its word, so the same everywhere."""
    return hashlib.sha256(concept(name).encode()).digest()[0] % HELD_OUT == 0


@lru_cache(maxsize=4)
def find_pictures(folder: Path | None = None) -> tuple[Picture, ...]:
    """All pictures whose caption is a plain name, in the order of their paths.

    Args:
        folder: X.png beside X.txt, in any depth; Tux Paint's stamps without it, fetched once with `apt-get download` if
            they are not installed.

    Raises:
        DataError: If there are too few to compose clips of.
    """
    root = folder or _stamps()
    found = []
    for path in sorted(root.rglob("*.png")):
        text = path.with_suffix(".txt")
        key = path.relative_to(root).with_suffix("").as_posix()
        if not text.is_file() or key.startswith("symbols/"):
            continue
        lines = text.read_text("utf-8", errors="replace").splitlines()
        name = short_name(lines[0]) if lines else None
        if name is not None:
            kind = next((kind for place, kind in KINDS.items() if key.startswith(f"{place}/")), "")
            found.append(Picture(path, key, name, kind, is_new(name)))
    if min(sum(each.new for each in found), sum(not each.new for each in found)) < FEWEST:
        raise DataError(
            f"{root}: {len(found)} usable pictures; expected some dozens of X.png, each with an X.txt that names it"
        )
    return tuple(found)


def _stamps() -> Path:
    installed = Path("/") / STAMPS_FOLDER
    if installed.is_dir():
        return installed
    try:
        return unpack_package(STAMPS) / STAMPS_FOLDER
    except DataError as error:
        raise DataError(
            f"pictures of {STAMPS.package}: {error}; or set `data` to a folder of X.png with X.txt files"
        ) from None
