"""Checks a rollout before a model is loaded: environments, sizes and budgets without effect."""

from collections.abc import Callable, Sequence

from namm_xmodal.envs.rollout import TOKENS_PER_STEP
from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_sizes
from namm_xmodal.language.precision import check_precision
from namm_xmodal.modalities.rl.arms import Window
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.setups import RolloutSetup, find_setups


def check_rollout(config: RlSection, arms: Sequence[Arm], notice: Callable[[str], None]) -> list[RolloutSetup]:
    """Refuses models that do not fit their environment, and rows that would not hold what they say.

    Args:
        config: What to play.
        arms: Its arms.
        notice: Called with which models must be fetched before they can be checked, about unscaled states, and about
            targets outside the data.

    Returns:
        The models that are on this machine.

    Raises:
        NammError: The first mistake, on one line.
    """
    check_precision("auto", config.device)
    told = "{} is not on this machine yet; it is checked after it is downloaded"
    setups = find_setups(config, local=True, absent=lambda label: notice(told.format(label)))
    check_rows(config, arms, setups)
    for setup in setups:
        _say_what_is_odd(setup, notice)
        if setup.metadata is None and config.scale is None:
            notice(
                f"{setup.label}: does not say what returns were divided by in its training; taken to be "
                f"{setup.target.scale:g}, give scale if that is wrong"
            )
    return setups


def check_rows(config: RlSection, arms: Sequence[Arm], setups: Sequence[RolloutSetup]) -> None:
    """Refuses rows that would not hold what they say in the episodes of these models.

    Raises:
        ConfigError: The mistake, on one line.
    """
    if not setups:
        return
    pruning = Pruning(config.update_every, config.protect_first, config.protect_recent)
    longest = max(setups, key=lambda setup: setup.steps)
    episodes = [_episode(setup) for setup in setups]
    _check_window(config, longest, pruning)
    for arm in arms:
        row = f"policies.{arm.label}"
        if isinstance(arm.baseline, Window) and arm.baseline.steps >= longest.steps:
            raise ConfigError(
                f"{row}.steps: {arm.baseline.steps}: the window covers everything, since "
                f"{_episode(longest).what} has {longest.steps} steps; use fewer, or {{policy: full}}"
            )
        if arm.policy is None:
            continue
        check_sizes(row, arm.budget, episodes, pruning)
        if config.within is not None and isinstance(arm.budget, int) and arm.budget > config.within:
            raise ConfigError(
                f"{row}: budget {arm.budget}: has no effect, since no policy keeps more than within={config.within}; "
                "use fewer tokens"
            )


def _say_what_is_odd(setup: RolloutSetup, notice: Callable[[str], None]) -> None:
    metadata = setup.metadata
    if not (setup.statistics or (metadata and metadata.statistics)) and (
        metadata is None or metadata.environment.endswith(("-v4", "-v5"))
    ):
        notice(
            f"{setup.label}: has no statistics of its states, so they are not standardised; set state_statistics if it "
            "was trained on standardised states"
        )
    if metadata is not None and metadata.returns:
        (low, high), asked = metadata.returns, setup.target.total
        if not low <= asked <= high + 0.01 * abs(high):
            notice(f"{setup.label}: target {asked:g} is outside the returns of its data, {low:.0f} to {high:.0f}")


def _check_window(config: RlSection, longest: RolloutSetup, pruning: Pruning) -> None:
    if config.within is None:
        return
    seen = pruning.last_update(_episode(longest))
    if not pruning.protected <= config.within < max(seen, 1):
        raise ConfigError(
            f"within: {config.within}: expected at least protect_first + protect_recent = {pruning.protected} tokens, and "
            f"fewer than the {seen} that were seen at the last update of {_episode(longest).what}"
        )


def _episode(setup: RolloutSetup) -> Reading:
    """The longest episode as tokens: the last action is not read any more."""
    return Reading(f"an episode of {setup.environment}", TOKENS_PER_STEP * setup.steps - 1)
