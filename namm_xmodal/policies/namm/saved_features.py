"""Features in a saved policy: format version 1 where possible, so that older releases can read it, else version 2."""

from pathlib import Path
from typing import Any

from namm_xmodal.errors import CheckpointError, ConfigError, UnknownNameError
from namm_xmodal.policies.namm.channels.building import make_channel, make_features
from namm_xmodal.policies.namm.features import Features

FORMAT_VERSIONS = (1, 2)
"""1: `features` is one mapping, of a channel in `_SINGLE` with frozen statistics. 2: it is a list of channels, and a
schedule may have `beyond`."""

_SINGLE = ("spectrogram", "mean_attention", "projection")


def features_to(features: Features, *, plain: bool) -> dict[str, Any]:
    """`format_version` and `features` of a saved policy's configuration; `plain` if it has nothing else of version 2."""
    first, *others = features.channels
    if plain and first.name in _SINGLE and first.standardise == "frozen" and not others:
        return {"format_version": 1, "features": {"name": first.name, **first.config()}}
    return {"format_version": 2, "features": features.entries()}


def features_from(config: dict[str, Any], path: Path) -> Features:
    """Features of a configuration of either version.

    Args:
        config: Of the saved policy; its version is known to be one of `FORMAT_VERSIONS`.
        path: Of its file, for messages.

    Raises:
        CheckpointError: With what is wrong.
    """
    entry = config.get("features")
    try:
        if config["format_version"] == 1:
            if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
                raise CheckpointError(f"{path}: lacks features.name; save the policy again")
            return _single(entry, path)
        if not isinstance(entry, list) or not all(isinstance(each, dict) for each in entry):
            raise CheckpointError(f"{path}: features is not a list of channels; save the policy again")
        return make_features(entry)
    except UnknownNameError as error:
        raise CheckpointError(f"{path}: {error}; load its plug-in with --plugins, or install its package") from None
    except ConfigError as error:
        raise CheckpointError(f"{path}: features: {error}") from None


def _single(entry: dict[str, Any], path: Path) -> Features:
    settings = {key: value for key, value in entry.items() if key != "name"}
    name = entry["name"]
    if name not in _SINGLE:
        raise CheckpointError(f"{path}: unknown features {name!r}; known in format version 1: {', '.join(_SINGLE)}")
    try:
        return Features([make_channel(name, settings)])
    except ConfigError as error:
        raise CheckpointError(f"{path}: features {name!r}: {error}") from None
