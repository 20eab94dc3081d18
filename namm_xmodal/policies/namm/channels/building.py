"""Builds channels from a configuration or a saved policy: a name, or a mapping with a name and settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.namm.channels.table import CHANNELS
from namm_xmodal.policies.namm.features import Features

ChannelSpec = str | Mapping[str, Any]
FeaturesSpec = str | Sequence[ChannelSpec]
"""`spectrogram`, or a list such as `["spectrogram", {"channel": "key_novelty", "standardise": "frozen"}]`."""


def make_features(given: FeaturesSpec, **usual: Any) -> Features:
    """Features from a name or a list of names and mappings.

    Args:
        given: See `FeaturesSpec`; a mapping holds `channel`, and optionally `standardise` and the channel's own
            settings.
        **usual: Settings of every channel that has them and says nothing else, such as `ema_coefficient`.

    Raises:
        UnknownNameError: If there is no such channel.
        ConfigError: If a setting is unknown or out of range, a channel is given twice, or there is none.
    """
    entries = [given] if isinstance(given, str) else list(given)
    channels = []
    for place, entry in enumerate(entries):
        settings: dict[str, Any] = {"channel": entry} if isinstance(entry, str) else dict(entry)
        if not isinstance(settings.get("channel"), str):
            raise ConfigError(f"entry {place + 1}: {settings}: has no channel name; expected channel: a name")
        channels.append(make_channel(settings.pop("channel"), settings, usual))
    return Features(channels)


def make_channel(name: str, settings: Mapping[str, Any], usual: Mapping[str, Any] | None = None) -> Channel:
    """One channel.

    Args:
        name: In the table.
        settings: Its own settings and `standardise`.
        usual: Settings that are used where the channel has them and `settings` says nothing.

    Raises:
        UnknownNameError: If there is no such channel.
        ConfigError: If a setting is unknown, of another type or out of range.
    """
    if name not in CHANNELS:
        raise UnknownNameError("channel", name, sorted(CHANNELS))
    kind = CHANNELS[name]
    if kind.name != name:  # a saved policy would look for a channel that is not in the table
        raise ConfigError(f"the class of channel {name} has name={kind.name!r}; use one name for both")
    known = {"standardise": kind.usual, **kind().config()}
    for key, value in settings.items():
        if key not in known:
            raise ConfigError(f"{key}: unknown setting of the channel {name}; expected {', '.join(known)}")
        if type(value) is not type(known[key]):
            raise ConfigError(f"{key}={value!r}: expected a value like {known[key]!r} for the channel {name}")
    inherited = {key: value for key, value in (usual or {}).items() if key in known}
    return kind(**{**inherited, **settings})
