"""Observations for channels that are tried on their own."""

import torch

from namm_xmodal.policies.protocol import Observation
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


def observation(state=None, *, keys=None, values=None, positions=None, seen=None, rotary=None) -> Observation:
    """What is not given is filled: all slots live, positions in order, keys and values of zeros."""
    batch, heads, slots = (state.batch, state.heads, state.slots) if state is not None else keys.shape[:3]
    if keys is None:
        keys = torch.zeros(batch, heads, slots, 8)
    if positions is None:
        positions = torch.arange(slots).expand(batch, heads, -1)
    return Observation(
        keys,
        keys if values is None else values,
        positions,
        positions >= 0,
        slots if seen is None else seen,
        State(batch, heads, slots, torch.device("cpu")) if state is None else state,
        LayerShape(0, 2, 2 * heads, heads, keys.shape[-1]),
        keys.shape[-1] ** -0.5,
        rotary,
    )
