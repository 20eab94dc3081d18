"""Fits a NAMM to the evaluated model: feature statistics and thresholds from plain input, without labels or reward."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from namm_xmodal.config.section import Section
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.memory.calibration import calibrate
from namm_xmodal.memory.statistics import estimate_by_layer, estimate_statistics
from namm_xmodal.policies.by_layer import ByLayer
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.namm.statistics import FeatureStatistics

Inputs = Mapping[str, Tensor]
"""What an adapter's `forward` takes, (1, T, ...) each."""

FLOOR = 96
"""Minimum number of tokens that a calibrated policy keeps, so that short inputs are not emptied."""


class PlainInputs(Protocol):
    """Unlabelled input of the evaluated model that is not part of any test item.

    Attributes:
        source: What it is, in words, for reports.
    """

    source: str

    def for_statistics(self) -> Sequence[Inputs]:
        """Each longer than one update."""

    def for_calibration(self) -> Sequence[Inputs]:
        """A few, as long as what is evaluated."""


def fitted(arm: Arm, model: Any, plain: PlainInputs, section: Section) -> Any:
    """The policy of an arm as `arm.fit` wants it.

    Args:
        arm: Its policy is a NAMM if anything is asked.
        model: The model that it will prune.
        plain: Input of that model.
        section: Clock and protection.
    """
    policy, fit = arm.policy, arm.fit
    if fit.statistics != "frozen":
        every, source = section.update_every, f"estimated on {plain.source}"
        inputs = plain.for_statistics()
        if fit.statistics == "estimated_by_layer":
            return by_layer(
                policy, estimate_by_layer(model, inputs, policy.features, update_every=every, source=source)
            )
        found = estimate_statistics(model, inputs, policy.features, update_every=every, source=source)
        policy = policy.with_statistics(found)
    return policy if fit.share is None else calibrated(policy, model, plain.for_calibration(), fit.share, section)


def described(policy: Any) -> str:
    """Where a NAMM's feature statistics come from; empty for other policies."""
    while not hasattr(policy, "statistics") and hasattr(policy, "base"):  # within a window, layer by layer
        policy = policy.base
    source: str = getattr(getattr(policy, "statistics", None), "source", "")
    return source


def by_layer(policy: Namm, statistics: Sequence[FeatureStatistics]) -> ByLayer:
    """The same network with statistics of its own in each layer."""
    first, *others = (policy.with_statistics(each) for each in statistics)
    return ByLayer(first, tuple(others))


def calibrated(
    policy: Namm,
    model: Any,
    inputs: Sequence[Inputs],
    share: float,
    section: Section,
    on_progress: Callable[[int, int], None] = lambda seen, last: None,
) -> Namm:
    """The same network with thresholds that keep `share` of plain input, at least `FLOOR` tokens, and `share` beyond."""
    found = calibrate(
        model,
        inputs,
        policy,
        budget=share,
        floor=FLOOR,
        update_every=section.update_every,
        protect_first=section.protect_first,
        protect_recent=section.protect_recent,
        on_progress=on_progress,
    )
    return policy.with_thresholds(found.schedule)
