"""An arm of an evaluation: one policy, or one simpler baseline, at one size under one schedule."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from namm_xmodal.config.blame import blamed, named
from namm_xmodal.config.building import at
from namm_xmodal.config.policies import (
    build_policy,
    calibrated_share,
    policy_class,
    split_spec,
    takes_budget,
    with_budget,
)
from namm_xmodal.config.section import Fitting, Section
from namm_xmodal.errors import ConfigError, UnknownNameError
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import ChoosesForLater
from namm_xmodal.types import ONCE, ReadingSchedule

Schedule = ReadingSchedule | Literal["none", "before"]
"""`streaming`: evictions while the cache is filled. `post_context`: once, after the context and before the question.
`post_prefill`: once, after context and question. `none`: never (the full cache, a recomputed window). `before`: tokens
were left out before the cache."""

ArmKey = tuple[str, str, str]
"""Label, budget as text, schedule."""


@dataclass(frozen=True)
class Fit:
    """How a NAMM is fitted to the evaluated model, without labels.

    Attributes:
        statistics: Of its features: saved with it, or estimated on the model, pooled or layer by layer.
        share: Share of plain input to keep, for which thresholds are found; None leaves the policy's own.
    """

    statistics: Fitting = "frozen"
    share: float | None = None

    @property
    def words(self) -> str:
        """For fingerprints and tables; empty for a policy as it was saved."""
        parts = [] if self.statistics == "frozen" else [self.statistics]
        return "+".join([*parts, *([] if self.share is None else [f"calibrated:{self.share}"])])


@dataclass(frozen=True)
class Arm:
    """One thing that is compared: a policy or baseline at one size.

    Attributes:
        label: Its name in the configuration.
        policy: Prunes the cache; None for the full cache and for baselines that are no cache policy.
        baseline: A baseline that is not a cache policy (a recomputed window, fewer frames); else None.
        budget: Size asked for; None where the policy decides or nothing is evicted.
        schedule: When tokens are evicted.
        fit: How a NAMM is fitted.
    """

    label: str
    policy: Any = None
    baseline: Any = None
    budget: int | float | None = None
    schedule: Schedule = "streaming"
    fit: Fit = Fit()

    @property
    def full(self) -> bool:
        """Whether this is the full cache, the reference of all differences."""
        return self.policy is None and self.baseline is None

    @property
    def size(self) -> str:
        """The requested size, in words."""
        return size_words(self.budget, self.schedule, self.baseline)

    @property
    def name(self) -> str:
        """Label and size, and the schedule if it is not the usual one: `h2o, 25%`, `h2o, 25%, post_prefill`."""
        parts = [self.label, self.size, *([self.schedule] if self.schedule in ONCE else [])]
        return ", ".join(parts)

    @property
    def learned(self) -> bool:
        """Whether it is a NAMM, or a policy that divides a budget for one."""
        return self.namm is not None

    @property
    def namm(self) -> Namm | None:
        """The NAMM that ranks tokens; None for other policies."""
        ranks = self.policy.base if isinstance(self.policy, ByHead) else self.policy
        return ranks if isinstance(ranks, Namm) else None

    @property
    def key(self) -> ArmKey:
        """What identifies this arm within a section."""
        return (self.label, repr(self.budget), self.schedule)

    @cached_property
    def fingerprint(self) -> str:
        """Digest (twelve hex digits) of the policy's fields, weights and fit."""
        words = self.fit.words
        return fingerprint(self.policy or self.baseline) + (f"+{words}" if words else "")


def size_words(budget: int | float | None, schedule: str, baseline: Any = None) -> str:
    """A size as tables show it: `full`, `adaptive` where the policy decides, `12.5%`, `60 tokens`."""
    if budget is not None:
        return f"{100 * budget:.3g}%" if isinstance(budget, float) else f"{budget} tokens"
    if baseline is not None:
        return str(baseline)
    return "full" if schedule == "none" else "adaptive"


def policy_arms(
    section: Section,
    label: str,
    spec: dict[str, Any],
    *,
    schedules: Sequence[Schedule] = ("streaming",),
    sized_later: bool = False,
    used: Callable[[Any], Any] = lambda policy: policy,
) -> list[Arm]:
    """The arms of one entry of `policies`.

    Args:
        section: Sizes, clock and protection.
        label: Name of the entry.
        spec: The entry.
        schedules: Under which the policy runs.
        sized_later: Whether a budget is a share of something that is known item by item, so that the session sizes the
            policy; otherwise it is built with its budget.
        used: Makes of a policy what really prunes, for the check of its clock.

    Raises:
        NammError: The mistake, on one line, before any model is loaded.
    """
    path = f"policies.{label}"
    name, values = split_spec(spec, path)
    try:
        policy_class(name)
    except UnknownNameError as error:
        raise at(f"{path}.policy", error) from None
    if name == "full":
        build_policy(spec, path)  # refuses fields
        return [Arm(label, schedule="none")]
    fit = _fit(section, name, spec, path)
    arms = []
    for budget in _budgets(section, name, values, spec, path, sized_later):
        sized = {"policy": name, **{k: v for k, v in values.items() if k not in ("budget", "statistics")}}
        if budget is not None and not (
            sized_later and name == "namm"
        ):  # a NAMM's room is in tokens, known item by item
            sized = with_budget(sized, budget, path)
        with blamed(path):
            policy = build_policy(sized, path, calibrates=True)
        _check_fit(section, policy, path)
        # One that chooses when the prompt has been read does so whatever the others do, where there is such a schedule.
        once = isinstance(policy, ChoosesForLater) and hasattr(section, "schedules")
        for schedule in ("post_prefill",) if once else schedules:
            clock = section.update_every if schedule == "streaming" else None
            with named(path, policy):
                used(policy).check_clock(clock, section.protect_first, section.protect_recent)
            arms.append(Arm(label, policy, None, budget, schedule, fit))
    return arms


def in_order(arms: Sequence[Arm]) -> list[Arm]:
    """The full cache first, so that the reference exists early; the rest as in the file.

    Raises:
        ConfigError: If an arm is given twice.
    """
    keys = [arm.key for arm in arms]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ConfigError(f"policies.{twice[0]}: has the budget {twice[1]} twice; remove one")
    return sorted(arms, key=lambda arm: not arm.full)


def _budgets(
    section: Section, name: str, values: dict[str, Any], spec: dict[str, Any], path: str, sized_later: bool
) -> list[int | float | None]:
    own = values.get("budget")
    if isinstance(own, list):
        if not own:
            raise ConfigError(f"{path}.budget: []: expected at least one cache size")
        return list(own)
    if own is not None:
        return [own]
    # At this threshold no score evicts, so the policy has no size of its own.
    ranks_only = name == "namm" and values.get("threshold") == -math.inf
    if takes_budget(spec, path) or (ranks_only and section.budgets):
        if not section.budgets:
            raise ConfigError(f"budgets: []: expected at least one cache size, since {path} sets none")
        return list(section.budgets)
    return [None]


def _check_fit(section: Section, policy: Any, path: str) -> None:
    """Refuses a fit that would not apply to the NAMM inside another policy."""
    if section.fit != "frozen" and isinstance(policy, ByHead) and isinstance(policy.base, Namm):
        if policy.base.features.num_frozen:
            raise ConfigError(
                f"{path}.base: uses the statistics saved with it, but fit is {section.fit}; set fit: frozen, or use a "
                "NAMM without statistics, such as namm-universal"
            )


def _fit(section: Section, name: str, spec: dict[str, Any], path: str) -> Fit:
    if name != "namm":
        return Fit()
    _, values = split_spec(spec, path)
    statistics = values.get("statistics", section.fit)
    if statistics not in get_args(Fitting):
        raise ConfigError(f"{path}.statistics: {statistics!r}: expected one of {', '.join(get_args(Fitting))}")
    share = calibrated_share(spec, path)
    if share is not None and statistics == "estimated_by_layer":
        raise ConfigError(
            f"{path}.calibrated: thresholds cannot be calibrated layer by layer; set statistics: estimated"
        )
    return Fit(statistics, share)
