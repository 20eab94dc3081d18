"""Every key that a configuration may hold, as rows of a list: name, what it is, type and default."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from namm_xmodal.config import FieldHelp


def evolution_keys() -> list[dict[str, Any]]:
    """Keys of an evolution file, and of each kind of agreement source."""
    from namm_xmodal.config import EvolveConfig, describe

    return [_key(row) for row in describe(EvolveConfig)] + agree_keys()


def agree_keys() -> list[dict[str, Any]]:
    """Keys of each kind of agreement source."""
    from namm_xmodal.config import describe
    from namm_xmodal.config.agree import KINDS

    return [_key(row) for name, kind in KINDS.items() for row in describe(kind, f"agree.{name}.")]


def training_keys() -> list[dict[str, Any]]:
    """Keys of a training file, and of each kind of source."""
    from namm_xmodal.config import describe
    from namm_xmodal.config.train import KINDS, TrainConfig

    found = [_key(row) for row in describe(TrainConfig)]
    found += [_key(row) for name, kind in KINDS.items() for row in describe(kind, f"traces.{name}.")]
    return found + agree_keys()


def evaluation_keys() -> list[dict[str, Any]]:
    """Keys of the whole file, keys that all sections share, and those that a section adds or gives another default."""
    from namm_xmodal.config import RunConfig, Section, describe
    from namm_xmodal.modalities.table import MODALITIES

    shared = describe(Section)
    found = [_key(row, "at the top") for row in describe(RunConfig)]
    found += [_key(row, "in a section, or at the top for all") for row in shared]
    for name, modality in MODALITIES.items():
        own = [row for row in describe(modality.section) if row not in shared]
        found += [_key(replace(row, path=f"{name}.{row.path}")) for row in own]
    return found


def _key(row: "FieldHelp", place: str = "") -> dict[str, Any]:
    fields = {"place": place} if place else {}
    return {"name": row.path, "about": row.help, "fields": {**fields, "type": row.type, "default": row.default}}
