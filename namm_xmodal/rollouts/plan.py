"""What a configuration asks for: each policy at each budget, built before any model is loaded."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from namm_xmodal.config import RolloutConfig, build_policy
from namm_xmodal.config.building import at
from namm_xmodal.config.policies import split_spec, takes_budget, with_budget
from namm_xmodal.config.rollout import Statistics
from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.whole_steps import WholeSteps
from namm_xmodal.policies.within import Within

WINDOW = "window"


@dataclass(frozen=True)
class Run:
    """One row of the table.

    Attributes:
        label: The policy's label.
        policy: The policy; None for the window, and for the full cache.
        budget: Cache size asked for; None where the policy decides, or where nothing is forgotten.
        window: Steps of the recomputed window; None for a cache.
        statistics: Which feature statistics a NAMM has; None for other policies.
    """

    label: str
    policy: Any
    budget: int | float | None
    window: int | None
    statistics: Statistics | None

    @property
    def size(self) -> str:
        """The memory asked for, in words."""
        if self.window is not None:
            return f"{self.window} steps"
        if self.policy is None:
            return "all"
        if self.budget is None:
            return "own"
        return f"{self.budget:.0%}" if isinstance(self.budget, float) else f"{self.budget} tokens"

    @cached_property
    def fingerprint(self) -> str:
        """Of the policy: fields, weights, and where its feature statistics come from."""
        known = f"+{self.statistics}" if self.statistics in ("estimated", "estimated_by_layer") else ""
        return fingerprint(self.policy if self.window is None else f"window {self.window}") + known

    def dressed(self, policy: Any, config: RolloutConfig) -> Any:
        """The policy as it is used: whole steps, within a window."""
        if policy is None:
            return None
        if config.evict == "steps":
            policy = WholeSteps(policy)
        return policy if config.within is None else Within(policy, config.within)


def make_plan(config: RolloutConfig) -> list[Run]:
    """Builds all policies.

    Raises:
        NammError: The first mistake, on one line.
    """
    if config.score == "measured" and config.references is None:
        raise ConfigError("references: missing; measured scores need two returns, for example [18.0, 3600.0]")
    if config.score == "dataset" and config.dataset is None:
        raise ConfigError("dataset: missing; score: dataset needs the name of a Minari dataset")
    runs = [run for label, spec in config.policies.items() for run in _runs(config, label, spec)]
    keys = [(run.label, repr(run.budget)) for run in runs]
    if len(set(keys)) < len(keys):
        raise ConfigError("policies: a policy has the same budget twice; remove one")
    return runs


def _runs(config: RolloutConfig, label: str, spec: dict[str, Any]) -> list[Run]:
    path = f"policies.{label}"
    name, values = split_spec(spec, path)
    if name == WINDOW:
        steps = values.pop("steps", 20)
        if values or isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ConfigError(f"{path}: {spec}: expected {{policy: window, steps: a number of at least 1}}")
        return [Run(label, None, None, steps, None)]
    if name == "full":
        if values:
            raise ConfigError(f"{path}: {spec}: the full cache has no fields")
        return [Run(label, None, None, None, None)]
    statistics: Statistics | None = None
    if name == "namm":
        statistics = values.pop("statistics", config.statistics)
        if statistics not in ("frozen", "estimated", "estimated_by_layer"):
            raise ConfigError(f"{path}.statistics: {statistics!r}: expected frozen, estimated or estimated_by_layer")
        spec = {"policy": name, **values}
    own = values.get("budget")
    if isinstance(own, list):
        budgets: list[int | float | None] = list(own)
    elif takes_budget(spec, path):
        budgets = list(config.budgets)
    else:
        budgets = [own]
    if not budgets:
        raise ConfigError(f"{path}: no cache size for it; expected at least one in budgets or in {path}.budget")
    runs = []
    for budget in budgets:
        policy = build_policy(spec if budget is None else with_budget(spec, budget, path), path)
        run = Run(label, policy, budget, None, statistics)
        try:
            dressed = run.dressed(policy, config)
            dressed.check_clock(config.update_every, config.protect_first, config.protect_recent)
        except NammError as error:
            raise at(path, error) from None
        runs.append(run)
    return runs
