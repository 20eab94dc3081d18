"""What an evaluation consists of: every policy at every size under every protocol, on every sample of every task."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from namm_xmodal.config import EvalConfig, build_policy, build_task
from namm_xmodal.config.building import at
from namm_xmodal.config.policies import calibrated_share, estimates_statistics, split_spec, takes_budget, with_budget
from namm_xmodal.errors import ConfigError, NammError
from namm_xmodal.evaluation.record import Key
from namm_xmodal.policies.fingerprint import fingerprint


@dataclass(frozen=True)
class Run:
    """One policy at one size under one protocol.

    Attributes:
        label: The policy's name in the configuration.
        policy: The policy.
        budget: Cache size asked for, None where the policy decides.
        protocol: `clock`, `prompt_end`, or `none` for the full cache.
        full: Whether this is the full cache, the reference of all differences.
        estimated: Whether a NAMM's feature statistics are to be estimated on the model that is evaluated.
        calibrated: Share of plain text that its thresholds are to be found for on that model.
    """

    label: str
    policy: Any
    budget: int | float | None
    protocol: str
    full: bool
    estimated: bool = False
    calibrated: float | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Of the policy: fields, weights, and where its feature statistics and thresholds come from."""
        calibrated = "" if self.calibrated is None else f"+calibrated:{self.calibrated}"
        return fingerprint(self.policy) + ("+estimated" if self.estimated else "") + calibrated

    def key(self, task: str, sample: int) -> Key:
        """The key of this run's record on one sample."""
        return (task, sample, self.label, repr(self.budget), self.protocol)


@dataclass(frozen=True)
class TaskPlan:
    """One task of a configuration."""

    label: str
    task: Any
    count: int


@dataclass(frozen=True)
class Unit:
    """One sample of one task: the piece of work that a worker takes, with all runs on it that are still to do."""

    task: str
    sample: int
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Everything to do.

    Attributes:
        runs: The full cache first, so that the reference exists as early as possible.
        tasks: In the order of the configuration.
    """

    runs: tuple[Run, ...]
    tasks: tuple[TaskPlan, ...]

    @property
    def total(self) -> int:
        """Records of a complete evaluation."""
        return len(self.runs) * sum(task.count for task in self.tasks)

    def units(self, done: frozenset[Key]) -> list[Unit]:
        """Work that is left, task by task in turn, so that every task has some results early."""
        units = []
        for sample in range(max(task.count for task in self.tasks)):
            for task in self.tasks:
                if sample >= task.count:
                    continue
                left = tuple(i for i, run in enumerate(self.runs) if run.key(task.label, sample) not in done)
                if left:
                    units.append(Unit(task.label, sample, left))
        return units


def make_plan(config: EvalConfig) -> Plan:
    """Builds all policies and tasks, so that every mistake shows before a model is loaded.

    Raises:
        NammError: The mistake, on one line.
    """
    tasks = tuple(TaskPlan(label, *build_task(spec, f"tasks.{label}")) for label, spec in config.tasks.items())
    runs = [run for label, spec in config.policies.items() for run in _runs(config, label, spec)]
    runs.sort(key=lambda run: not run.full)  # stable: the rest stays in the order of the file
    return Plan(tuple(runs), tasks)


def _runs(config: EvalConfig, label: str, spec: dict[str, Any]) -> list[Run]:
    path = f"policies.{label}"
    name, values = split_spec(spec, path)
    if name == "full":
        return [Run(label, build_policy(spec, path), None, "none", True)]
    own = values.get("budget")
    if isinstance(own, list):
        budgets: list[int | float | None] = own
        if not own:
            raise ConfigError(f"{path}.budget: []: expected at least one cache size")
    elif takes_budget(spec, path):
        budgets = list(config.budgets)
        if not budgets:
            raise ConfigError(f"budgets: []: expected at least one cache size, since {path} gives none of its own")
    else:
        budgets = [own]
    runs = []
    for budget in budgets:
        policy = build_policy(spec if budget is None else with_budget(spec, budget, path), path, calibrates=True)
        for protocol in config.protocols:
            clock = config.update_every if protocol == "clock" else None
            try:
                policy.check_clock(clock, config.protect_first, config.protect_recent)
            except NammError as error:
                raise at(path, error) from None
            asked = estimates_statistics(spec, path), calibrated_share(spec, path)
            runs.append(Run(label, policy, budget, protocol, False, *asked))
    return runs
