"""Which policies and rivals run at which sizes."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from namm_xmodal.config.building import at, settable
from namm_xmodal.config.policies import build_policy, estimates_statistics, policy_class, split_spec
from namm_xmodal.config.video_qa import VideoQAConfig, build_reduction
from namm_xmodal.errors import ConfigError, ItemError, NammError
from namm_xmodal.evaluation.record import Key
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.namm import Namm


@dataclass(frozen=True)
class VideoRun:
    """One policy or rival at one size.

    Attributes:
        label: Its name in the configuration.
        policy: The policy, None for the full cache and for rivals before the cache.
        reduction: The rival before the cache, None for policies.
        budget: Share of the visual tokens, None where the policy decides or nothing is forgotten.
        protocol: `clock`, `prompt_end`, or `none` for the full cache; rivals before the cache have `before`.
        estimated: Whether a NAMM's feature statistics are estimated on the model.
    """

    label: str
    policy: Any
    reduction: Any
    budget: float | None
    protocol: str
    estimated: bool = False

    @property
    def full(self) -> bool:
        """Whether this is the full cache on the whole video."""
        return self.policy is None and self.reduction is None

    @cached_property
    def fingerprint(self) -> str:
        """Of the policy or rival."""
        return fingerprint(self.policy or self.reduction) + ("+estimated" if self.estimated else "")

    def key(self, task: str, sample: int) -> Key:
        """The key of this run's record on one question."""
        return (task, sample, self.label, repr(self.budget), self.protocol)

    def sized(self, tokens: int | None) -> Any:
        """The policy with room for a number of tokens."""
        if tokens is None:
            return self.policy
        if isinstance(self.policy, Namm):
            return replace(self.policy, max_tokens=tokens)
        return replace(self.policy, budget=tokens)


def make_runs(config: VideoQAConfig) -> tuple[VideoRun, ...]:
    """All runs of a configuration, the full cache first.

    Raises:
        NammError: The mistake, on one line, before any model is loaded.
    """
    runs = [run for label, spec in config.policies.items() for run in _policy_runs(config, label, spec)]
    for label, spec in config.reductions.items():
        reduction = build_reduction(spec, f"reductions.{label}")
        runs += [VideoRun(label, None, reduction, budget, "before") for budget in config.budgets]
    runs.sort(key=lambda run: not run.full)
    return tuple(runs)


def _policy_runs(config: VideoQAConfig, label: str, spec: dict[str, Any]) -> list[VideoRun]:
    path = f"policies.{label}"
    name, values = split_spec(spec, path)
    if name == "full":
        return [VideoRun(label, None, None, None, "none")]
    if "budget" in settable(policy_class(name)) and isinstance(values.get("budget"), int | float):
        raise ConfigError(
            f"{path}.budget: {values['budget']!r}: sizes are shares of the visual tokens and stand in `budgets`; remove it"
        )
    own: list[float | None] = [*config.budgets]
    if name == "namm":
        given = values.pop("budget", None)
        own = list(given) if isinstance(given, list) else [None]
    policy = build_policy({"policy": name, **values}, path)
    runs = []
    for budget in own:
        for protocol in config.protocols:
            try:
                clock = config.update_every if protocol == "clock" else None
                policy.check_clock(clock, config.protect_first, config.protect_recent)
            except NammError as error:
                raise at(path, error) from None
            runs.append(VideoRun(label, policy, None, budget, protocol, estimates_statistics(spec, path)))
    return runs


def cache_room(share: float, *, full: int, visual: int, text: int, every: int | None, protected: int) -> int:
    """Tokens a policy may keep at each update so that `share` of the visual tokens and all text fit when it answers.

    Tokens that come after the last update cannot be evicted any more, so they are taken off.

    Args:
        share: Of the visual tokens.
        full: Visual tokens of the video.
        visual: Visual tokens of the prompt.
        text: Other tokens of the prompt.
        every: Tokens between updates; None for one update at the end.
        protected: Tokens that are never evicted.

    Raises:
        ItemError: If the prompt is shorter than one update, or what cannot be evicted is more than that.
    """
    length = visual + text
    after = check_update(length, every)
    room = round(share * full) + text - after
    if room < max(1, protected):
        raise ItemError(
            f"{share:.0%} of {full} visual tokens and all {text} others are {room} tokens at the last update, and "
            f"protect_first + protect_recent = {protected} stay anyway: the cache would hold more than it says; protect "
            "fewer tokens, or use more frames, a larger budget or a smaller update_every"
        )
    return room


def check_update(length: int, every: int | None) -> int:
    """Tokens of a prompt that come after its last update.

    Args:
        length: Tokens of the prompt.
        every: Tokens between updates; None for one update at the end.

    Raises:
        ItemError: If there is no update.
    """
    after = 0 if every is None else length % every
    if after == length:
        raise ItemError(
            f"a prompt of {length} tokens is shorter than one update (update_every={every}), so nothing would be evicted; "
            "use more frames or a smaller update_every"
        )
    return after
