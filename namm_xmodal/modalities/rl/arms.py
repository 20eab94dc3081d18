"""Arms of a section of agents: cache policies, and the recomputed window that Decision Transformers were published with."""

from dataclasses import dataclass
from typing import Any

from namm_xmodal.config.policies import split_spec
from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.arm import Arm, in_order, policy_arms
from namm_xmodal.modalities.rl.section import WINDOW_POLICY, RlSection
from namm_xmodal.policies.whole_steps import WholeSteps
from namm_xmodal.policies.within import Within


@dataclass(frozen=True)
class Window:
    """The last steps, recomputed at every step.

    Attributes:
        steps: How many.
    """

    steps: int

    def __str__(self) -> str:
        return f"{self.steps} steps"


def rl_arms(section: RlSection) -> list[Arm]:
    """All arms, the full cache first.

    Raises:
        NammError: The mistake, on one line, before any model is loaded.
    """
    arms = []
    for label, spec in section.policies.items():
        path = f"policies.{label}"
        name, values = split_spec(spec, path)
        if name == WINDOW_POLICY:
            steps = values.pop("steps", 20)
            if values or isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
                raise ConfigError(f"{path}: {spec}: expected {{policy: window, steps: a number of at least 1}}")
            arms.append(Arm(label, None, Window(steps), schedule="none"))
        else:
            arms += policy_arms(section, label, spec, used=lambda policy: with_wrappers(policy, section))
    return in_order(arms)


def with_wrappers(policy: Any, section: RlSection) -> Any:
    """The policy as it is used: whole steps, within a window."""
    if policy is None:
        return None
    if section.evict == "steps":
        policy = WholeSteps(policy)
    return policy if section.within is None else Within(policy, section.within)
