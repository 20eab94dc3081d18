"""A digest of a policy, so that results under one name are never mixed with those of another policy."""

import hashlib
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor

_DESCRIBES_ONLY = frozenset({"metadata"})

ADDED = {"added": True}
"""Metadata of a field that came later: at its default it does not count, so that earlier results keep their names."""

FILLED_IN = {"filled_in": True}
"""Metadata of a field that belongs to the model that is pruned: nobody sets it, and it does not count."""


def fingerprint(policy: Any) -> str:
    """Twelve hex digits over class, fields and weights; equal for equal policies, in any process.

    Args:
        policy: A policy, or None for the full cache.
    """
    digest = hashlib.sha256()
    _add(digest, policy)
    return digest.hexdigest()[:12]


def _add(digest: "hashlib._Hash", value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.detach().contiguous().cpu().numpy().tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        digest.update(type(value).__name__.encode())
        for each in fields(value):
            unused = "filled_in" in each.metadata or (
                "added" in each.metadata and getattr(value, each.name) == each.default
            )
            if each.name not in _DESCRIBES_ONLY and not unused:
                digest.update(f"|{each.name}=".encode())
                _add(digest, getattr(value, each.name))
    elif hasattr(value, "config") and hasattr(value, "name"):  # the parts of a NAMM
        digest.update(f"{value.name}{sorted(value.config().items())}".encode())
    else:
        digest.update(repr(value).encode())
