"""From `--model_args` to a model, a policy and how its cache is pruned; what an evaluation calls a section and an arm."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from namm_xmodal.config.building import settable
from namm_xmodal.config.loader import parse_value
from namm_xmodal.config.names import did_you_mean
from namm_xmodal.config.policies import policy_class, takes_budget
from namm_xmodal.config.section import Section
from namm_xmodal.config.validation import validate
from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.evaluation.arm import Arm, policy_arms
from namm_xmodal.types import PruningSchedule

SETTINGS = (
    "update_every",
    "schedule",
    "protect_first",
    "protect_recent",
    "selection",
    "attention",
    "dtype",
    "device",
    "max_length",
    "batch_size",
)
"""Arguments beside `pretrained` and `policy`; all others are fields of the policy."""

_PATHS = ("path", "shares")


class HarnessSection(Section):
    """The settings of one run of the harness, with the defaults that `namm-xmodal eval` has."""

    schedule: PruningSchedule = Field(
        "streaming",
        description="streaming: evictions while the prompt is read. post_prefill: once, after the whole prompt.",
    )
    max_length: int | None = Field(
        None, ge=2, description="Most tokens of prompt and answer; longer prompts lose their beginning."
    )
    batch_size: int = Field(
        1, ge=1, description="Prompts of equal length that are read at once, and answers scored at once."
    )


@dataclass(frozen=True)
class Arguments:
    """What `--model_args` says.

    Attributes:
        section: Model and settings.
        arm: The policy at its size.
    """

    section: HarnessSection
    arm: Arm


def read_arguments(given: Mapping[str, Any]) -> Arguments:
    """Checks all arguments before anything is loaded.

    Args:
        given: `pretrained`, `policy`, names of `SETTINGS`, and fields of the policy. Texts are read as YAML values.

    Raises:
        NammError: The first mistake, on one line.
    """
    for key, expected in (
        ("pretrained", "a name of `namm-xmodal list models`, a folder or a hub id"),
        ("policy", "a name of `namm-xmodal list policies`, a shipped or saved NAMM, or full"),
    ):
        if not given.get(key):
            raise ConfigError(f"model_args.{key}: missing; expected {expected}")
    settings = {key: _value(value) for key, value in given.items() if key in SETTINGS}
    fields = {key: value for key, value in given.items() if key not in ("pretrained", "policy", *SETTINGS)}
    spec = policy_spec(str(given["policy"]), {key: _value(value, key) for key, value in fields.items()})
    name = spec["policy"]
    known = settable(policy_class(name)) if name != "full" else {}
    for key in fields:
        if key not in known:
            near = did_you_mean(key, ["pretrained", "policy", *SETTINGS, *known])
            raise ConfigError(f"model_args.{key}: neither an argument nor a field of policy {name}; {near}")
    if takes_budget(spec):
        raise ConfigError(f"model_args.budget: missing; policy={name} needs a cache size, such as budget=0.25")
    if isinstance(spec.get("budget"), list):
        raise ConfigError(
            f"model_args.budget: {spec['budget']}: expected one cache size; run the harness once for each"
        )
    if spec.get("budget") is None:
        spec.pop("budget", None)
    section = validate(
        HarnessSection, {"model": str(given["pretrained"]), "policies": {name: spec}, **settings}, "model_args"
    )
    (arm,) = policy_arms(section, name, spec, schedules=(section.schedule,))
    return Arguments(section, arm)


def policy_spec(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of a configuration that a policy's name stands for; a NAMM may be named instead of `policy=namm,path=...`.

    Args:
        name: Of a policy, of a shipped NAMM, a folder or a hub id.
        fields: Of the policy; `base`, of policies around another one, may name a NAMM as well.

    Raises:
        UnknownNameError: With the nearest names.
    """
    from namm_xmodal.policies.namm.store import shipped_policies
    from namm_xmodal.policies.table import POLICIES

    base = fields.get("base")
    around = {"base": policy_spec(base, {})} if isinstance(base, str) else {}
    if name in POLICIES:
        return {"policy": name, **fields, **around}
    shipped = shipped_policies()
    if name not in shipped and "/" not in name and not Path(name).is_dir():
        raise UnknownNameError("policy", name, [*POLICIES, *shipped])
    if "path" in fields:
        raise ConfigError(f"model_args.path: {fields['path']}: policy={name} names a saved NAMM already; remove one")
    return {"policy": "namm", "path": name, **fields}


def _value(value: Any, key: str = "") -> Any:
    """A text as the value that it would be in a file (`-.inf`, `null`); names of files stay texts."""
    return parse_value(value) if isinstance(value, str) and key not in _PATHS else value
