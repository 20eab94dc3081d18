"""The features of a NAMM in a configuration: the name of a channel, or a list of names and mappings."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from namm_xmodal.errors import ConfigError, UnknownNameError


def _known(value: Any) -> Any:
    """Refuses values from which no features can be built."""
    from namm_xmodal.policies.namm import make_features

    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, list | tuple) or not all(isinstance(entry, str | dict) for entry in entries):
        raise ValueError(f"{value!r}: expected a channel such as spectrogram, or a list of channels and mappings")
    try:
        make_features(value)
    except (ConfigError, UnknownNameError) as error:
        raise ValueError(str(error)) from None
    return value


FeaturesValue = Annotated[
    str | Annotated[tuple[str | dict[str, Any], ...], Field(min_length=1)],
    BeforeValidator(_known),
]
