"""The features of a NAMM: a token's age and a list of channels, each standardised in its own way."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.namm.age import AGE_NUMBERS, age_embedding
from namm_xmodal.policies.namm.channels.channel import Channel
from namm_xmodal.policies.namm.channels.in_context import in_context
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.policies.protocol import ALL_ROWS, Observation, Reads, Tile
from namm_xmodal.policies.state import State


class Features:
    """Channels in order.

    Attributes:
        channels: The channels; no two of a name.
        name: Their names, joined by plus signs; one that is not standardised as usual says how.
        reads: What they need together.
        hop: Queries that are taken in together; updates must fall on multiples of it.
        num_frozen: Numbers per token that frozen statistics standardise.
        num_constants: Numbers per token that the scorer's input is made of: the age's 8 and all raw ones.
        num_inputs: Numbers per token that the scorer gets: the age's 8 and all outputs.
        num_parameters: Evolved numbers of the channels themselves; they follow the scorer's in the flat vector.
    """

    def __init__(self, channels: Sequence[Channel]) -> None:
        """Puts channels together.

        Raises:
            ConfigError: If there is none, or one is given twice.
        """
        names = [channel.name for channel in channels]
        if not names:
            raise ConfigError("[]: expected at least one channel, such as spectrogram")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"{names}: contains the channel {twice[0]} twice; remove one")
        self.channels = tuple(channels)
        self.name = "+".join(map(_label, channels))
        reads = [channel.reads for channel in channels]
        self.reads = Reads(
            rows=ALL_ROWS if any(each.rows == ALL_ROWS for each in reads) else max(each.rows for each in reads),
            queries=max(each.queries for each in reads),
            rotary=any(each.rotary for each in reads),
        )
        self.hop = math.lcm(*(channel.hop for channel in channels))
        self.num_frozen = sum(channel.raw for channel in self._frozen)
        self.num_constants = AGE_NUMBERS + sum(channel.raw for channel in channels)
        self.num_inputs = AGE_NUMBERS + sum(channel.outputs for channel in channels)
        self.num_parameters = sum(channel.num_parameters for channel in channels)

    @property
    def _frozen(self) -> list[Channel]:
        return [channel for channel in self.channels if channel.standardise == "frozen"]

    def start(self, state: State) -> None:
        """Declares every channel's buffers."""
        for channel in self.channels:
            channel.start(state)

    def observe(self, state: State, tile: Tile) -> None:
        """Shows a tile to the channels that read attention; tiles of any sizes leave the same state."""
        for channel in self.channels:
            if channel.reads.anything:
                channel.observe(state, tile)

    def frozen(self, observation: Observation) -> Tensor:
        """What statistics are estimated from: (B, H, num_frozen, S) raw numbers."""
        found = [channel.read(observation) for channel in self._frozen]
        if not found:
            batch, heads, slots = observation.live.shape
            return torch.empty(batch, heads, 0, slots, device=observation.live.device)
        return torch.cat(found, dim=2)

    @torch.no_grad()
    def constants(self, observation: Observation, statistics: FeatureStatistics) -> Tensor:
        """Everything that does not depend on parameters: the age, then every channel's numbers, standardised.

        Gradients take them as given, since neither attention nor keys of the base model are trained.

        Args:
            observation: The cache at an update.
            statistics: Of the frozen channels.

        Returns:
            (B, H, num_constants, S).
        """
        frozen, done = statistics.standardise(self.frozen(observation)), 0
        parts = [age_embedding(observation.positions, observation.seen)]
        for channel in self.channels:
            if channel.standardise == "frozen":
                parts.append(frozen[:, :, done : done + channel.raw])
                done += channel.raw
            else:
                parts.append(in_context(channel.read(observation), observation.live))
        return torch.cat(parts, dim=2)

    def project(self, constants: Tensor, parameters: Tensor) -> Tensor:
        """The scorer's input.

        Args:
            constants: (B, H, num_constants, S).
            parameters: (B or 1, H or 1, num_parameters).

        Returns:
            (B, H, num_inputs, S).
        """
        if all(type(channel).project is Channel.project for channel in self.channels):
            return constants
        age, *raw = constants.split([AGE_NUMBERS, *(channel.raw for channel in self.channels)], dim=2)
        own = parameters.split([channel.num_parameters for channel in self.channels], dim=-1)
        parts = zip(self.channels, raw, own, strict=True)
        return torch.cat([age, *(channel.project(each, some) for channel, each, some in parts)], dim=2)

    def inputs(self, observation: Observation, statistics: FeatureStatistics, parameters: Tensor) -> Tensor:
        """`project` of `constants`: (B, H, num_inputs, S)."""
        return self.project(self.constants(observation, statistics), parameters)

    def config(self) -> dict[str, Any]:
        """For fingerprints. Of one frozen channel its hyper-parameters, as before there were lists."""
        if len(self.channels) == 1 and self.channels[0].standardise == "frozen":
            return self.channels[0].config()
        return {"channels": self.entries()}

    def entries(self) -> list[dict[str, Any]]:
        """Every channel as a mapping, as `make_features` takes it."""
        return [
            {"channel": channel.name, "standardise": channel.standardise, **channel.config()}
            for channel in self.channels
        ]


def _label(channel: Channel) -> str:
    return channel.name if channel.standardise == channel.usual else f"{channel.name} ({channel.standardise})"
