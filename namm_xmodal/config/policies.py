"""Builds a policy from a mapping in a YAML file."""

from collections.abc import Mapping
from typing import Any

from namm_xmodal.config.building import at, build, defaults, settable
from namm_xmodal.config.namm import NammSpec
from namm_xmodal.errors import BudgetError, CheckpointError, ConfigError, UnknownNameError


def policy_class(name: str) -> type:
    """The dataclass whose fields a configuration may set for this policy.

    Raises:
        UnknownNameError: If there is no such policy.
    """
    from namm_xmodal.policies.table import POLICIES

    if name not in POLICIES:
        raise UnknownNameError("policy", name, list(POLICIES))
    found: type = NammSpec if name == "namm" else POLICIES[name]
    return found


def split_spec(spec: object, path: str) -> tuple[str, dict[str, Any]]:
    """Separates the policy's name from its fields."""
    if isinstance(spec, str):
        return spec, {}
    if not isinstance(spec, Mapping):
        raise ConfigError(f"{path}: {spec!r}: expected a policy such as {{policy: h2o}}")
    if not isinstance(spec.get("policy"), str):
        raise ConfigError(f"{path}.policy: missing; expected a name of `namm-xmodal list policies`")
    return str(spec["policy"]), {key: value for key, value in spec.items() if key != "policy"}


def takes_budget(spec: object, path: str = "policy") -> bool:
    """Whether the sweep over `budgets` applies: the policy needs a budget and gives none."""
    name, values = split_spec(spec, path)
    if "budget" in values:
        return False
    field = settable(policy_class(name)).get("budget")
    return field is not None and field.default is not None


def with_budget(spec: object, budget: int | float, path: str = "policy") -> dict[str, Any]:
    """The same policy at another cache size."""
    name, values = split_spec(spec, path)
    return {"policy": name, **values, "budget": budget}


def build_policy(spec: object, path: str = "policy", *, calibrates: bool = False) -> Any:
    """Builds a policy.

    Args:
        spec: A name, or `{policy: name, field: value, ...}`. Wrappers take another policy as `base`. A NAMM takes
            `path` (folder or hub id) or `init` (zeros | random, with `sigma` and `seed`), and its knobs.
        path: Where the mapping stands in the configuration, for messages.
        calibrates: Whether the caller finds the thresholds that `calibrated` asks for.

    Raises:
        UnknownNameError: If there is no such policy.
        ConfigError: If a field is unknown, missing or of the wrong type.
        BudgetError: If the budget is impossible.
    """
    from namm_xmodal.policies.table import POLICIES

    name, values = split_spec(spec, path)
    cls: Any = policy_class(name)
    if cls is NammSpec:
        spec_of_namm = build(NammSpec, values, path, f"policy {name}")
        if spec_of_namm.calibrated is not None and not calibrates:
            raise ConfigError(
                f"{path}.calibrated: only works in `namm-xmodal eval`; save the policy with `namm-xmodal calibrate` "
                "and give its folder as path, or give a budget"
            )
        try:
            return spec_of_namm.make(path)
        except (BudgetError, CheckpointError) as error:
            raise at(path, error) from None
    if "base" in settable(cls) and "base" in values:
        if isinstance(values["base"], Mapping) and "budget" in values["base"]:
            raise ConfigError(f"{path}.base.budget: the base uses the budget of {name}; set it there instead")
        _only_ranks(values["base"], f"{path}.base")
        try:
            values["base"] = build_policy(values["base"], f"{path}.base")
        except UnknownNameError as error:
            raise at(f"{path}.base.policy", error) from None
    if cls is POLICIES["by_head"] and "shares" in values:
        values["shares"] = _shares_from(values["shares"], f"{path}.shares")
    return build(cls, values, path, f"policy {name}")


def _only_ranks(base: object, path: str) -> None:
    """Refuses fields of a NAMM about its size or calibration where only its ranking counts."""
    if not isinstance(base, Mapping) or base.get("policy") != "namm":
        return
    for key in ("threshold", "max_tokens", "beyond", "calibrated", "statistics"):
        if key in base and base[key] != "frozen":
            raise ConfigError(f"{path}.{key}: has no effect here, since only the NAMM's ranking counts; remove it")


def _shares_from(value: object, path: str) -> Any:
    """Loads head shares from a file of `namm-xmodal head-shares`, or one that ships with the package."""
    from namm_xmodal.policies.head_shares import HeadShares

    if not isinstance(value, str):
        raise ConfigError(f"{path}: {value!r}: expected a file written by `namm-xmodal head-shares`")
    try:
        return HeadShares.from_pretrained(value)
    except CheckpointError as error:
        raise at(path, error) from None


def estimates_statistics(spec: object, path: str = "policy") -> bool:
    """Whether a NAMM's feature statistics are to be estimated on the model that it will prune."""
    name, values = split_spec(spec, path)
    return name == "namm" and values.get("statistics") == "estimated"


def calibrated_share(spec: object, path: str = "policy") -> float | None:
    """The share of plain text that a NAMM is to be calibrated to on the model that it will prune."""
    name, values = split_spec(spec, path)
    return values.get("calibrated") if name == "namm" else None


def policy_fields(name: str) -> dict[str, str]:
    """Hyper-parameters of a policy with their defaults as text, for `namm-xmodal list policies`."""
    return defaults(policy_class(name))
