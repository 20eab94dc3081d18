"""Reads processor and tokens per frame of a video model without loading its weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namm_xmodal.errors import DataError
from namm_xmodal.language.at_hand import model_at_hand
from namm_xmodal.video.models import LLAVA, VideoModel, open_with_processor, parts_folder, place_of


@dataclass(frozen=True)
class VideoModelAtHand:
    """Attributes as in `VideoModel`, and what its configuration says.

    Attributes:
        processor: Its processor.
        name: As asked for.
        cells: Tokens of a frame; None if they depend on the picture.
        config: transformers' configuration; None for a model that is put together from parts.
    """

    processor: Any
    name: str
    cells: int | None
    config: Any = None

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer


def at_hand(loaded: VideoModel) -> VideoModelAtHand:
    """The same of a model that is loaded."""
    return VideoModelAtHand(loaded.processor, loaded.name, _cells(loaded.model.config), loaded.model.config)


def video_model_at_hand(name: str) -> VideoModelAtHand | None:
    """Processor and configuration of a model that is on this machine; None if it must be fetched first.

    Args:
        name: As in `load_video_model`.

    Raises:
        UnknownNameError: If the name is nearly one of the short names.
        DataError: If there is no such folder, or it cannot be read.
        UnsupportedModelError: If it is another kind of model.
    """
    folder = parts_folder(name)
    if folder is not None:
        return _of_parts(folder, name)
    place = place_of(name)
    if not Path(place).is_dir() and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        raise DataError(f"model {name!r}: no such folder; expected one with config, weights and processor")
    try:
        return _read(place, name)
    except DataError as error:
        if isinstance(error.__cause__, OSError) and not Path(place).is_dir():  # not in the hub's cache
            return None
        raise


def _of_parts(folder: Path, name: str) -> VideoModelAtHand | None:
    from namm_xmodal.video.parts.assemble import make_processor
    from namm_xmodal.video.parts.parts import read_parts

    parts = read_parts(folder)
    language = model_at_hand(parts.language)
    return None if language is None else VideoModelAtHand(make_processor(parts, language.tokenizer), name, parts.cells)


def _read(place: str, name: str) -> VideoModelAtHand:
    folder, processor = open_with_processor(place, name, local=True)
    return VideoModelAtHand(processor, name, _cells(folder.config), folder.config)


def _cells(config: Any) -> int | None:
    if config.model_type != LLAVA:
        return None
    vision = config.vision_config
    return (int(vision.image_size) // int(vision.patch_size) // int(config.spatial_pool_stride)) ** 2
