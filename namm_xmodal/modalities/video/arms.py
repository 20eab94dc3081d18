"""Arms of a video section: the share of the visual tokens becomes a cache size for each question."""

from dataclasses import replace
from typing import Any

from torch import Tensor

from namm_xmodal.config.building import at, build, defaults, settable
from namm_xmodal.errors import ConfigError, ItemError, UnknownNameError
from namm_xmodal.evaluation.arm import Arm, in_order, policy_arms
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.policies.fastv import FastV
from namm_xmodal.policies.namm import Namm


def video_arms(section: VideoSection) -> list[Arm]:
    """Policies, then pre-LLM token reductions; the full cache first.

    Raises:
        NammError: The mistake, on one line, before any model is loaded.
    """
    arms = []
    for label, spec in section.policies.items():
        found = policy_arms(section, label, spec, schedules=section.schedules, sized_later=True)
        for arm in found:
            if arm.budget is not None and not (isinstance(arm.budget, float) and 0 < arm.budget <= 1):
                raise ConfigError(
                    f"policies.{label}.budget: {arm.budget!r}: expected a share of the visual tokens in (0, 1]"
                )
        arms += found
    for label, spec in section.reductions.items():
        reduction = build_reduction(spec, f"reductions.{label}")
        arms += [Arm(label, None, reduction, budget, "before") for budget in section.budgets]
    return in_order(arms)


def build_reduction(spec: dict[str, Any], path: str) -> Any:
    """A token reduction before the cache.

    Raises:
        UnknownNameError: If there is no such reduction.
        ConfigError: If a field is unknown or of the wrong type.
    """
    from namm_xmodal.video.reductions import REDUCTIONS

    name = spec.get("reduction")
    if not isinstance(name, str):
        raise ConfigError(f"{path}.reduction: missing; expected one of {', '.join(REDUCTIONS)}")
    if name not in REDUCTIONS:
        raise at(f"{path}.reduction", UnknownNameError("reduction", name, list(REDUCTIONS)))
    kind: Any = REDUCTIONS[name]
    return build(kind, {key: value for key, value in spec.items() if key != "reduction"}, path, f"reduction {name}")


def build_benchmark(section: VideoSection) -> Any:
    """The benchmark that a section names.

    Raises:
        UnknownNameError: If there is no such benchmark.
        ConfigError: If an option is unknown or of the wrong type.
    """
    from namm_xmodal.video.benchmarks.table import BENCHMARKS

    if section.benchmark not in BENCHMARKS:
        raise at("benchmark", UnknownNameError("benchmark", section.benchmark, list(BENCHMARKS)))
    kind: Any = BENCHMARKS[section.benchmark]
    values = dict(section.options)
    fields = settable(kind)
    if "data" in values:
        raise ConfigError(f"options.data: is not an option but a separate key; use --set video.data={values['data']}")
    if "data" in fields:
        values["data"] = section.data
    if "seed" in fields:
        values.setdefault("seed", section.seed)
    return build(kind, values, "options", f"benchmark {section.benchmark}")


def benchmark_options(name: str) -> dict[str, str]:
    """The fields of a benchmark that `options` may set, with their defaults as in YAML."""
    from namm_xmodal.video.benchmarks.table import BENCHMARKS

    shown = {field: default for field, default in defaults(BENCHMARKS[name]).items() if field != "data"}
    return {**shown, "seed": "that of the file"} if "seed" in shown else shown


def with_room(policy: Any, tokens: int | None, visual: Tensor) -> Any:
    """The policy with a budget in tokens; unchanged for None.

    Args:
        policy: The policy.
        tokens: The room.
        visual: (N,) bool, which tokens of the prompt are visual; in FastV no other competes.
    """
    if tokens is None:
        return policy
    if isinstance(policy, FastV):
        return replace(policy, budget=tokens, always=_spans(~visual))
    return replace(policy, max_tokens=tokens) if isinstance(policy, Namm) else replace(policy, budget=tokens)


def _spans(chosen: Tensor) -> tuple[tuple[int, int], ...]:
    """(first, one past the last) of every run of true places of (N,) bool."""
    edges = chosen.int().diff(prepend=chosen.new_zeros(1).int(), append=chosen.new_zeros(1).int()).nonzero()[:, 0]
    return tuple(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def cache_room(
    share: float, *, full: int, visual: int, text: int, every: int | None, protected: int, asked: int = 0
) -> int:
    """Tokens a policy may keep at each update so that `share` of the visual tokens and all text fit when it answers.

    Tokens that come after the last update cannot be evicted any more, so they are taken off.

    Args:
        share: Of the visual tokens.
        full: Visual tokens of the video.
        visual: Visual tokens of the prompt.
        text: Other tokens of the prompt.
        every: Tokens between updates; None for one update at the end.
        protected: Tokens that are never evicted.
        asked: Other tokens that are read after the last update, whenever that is (`post_context`).

    Raises:
        ItemError: If the prompt is shorter than one update, or what cannot be evicted is more than that.
    """
    length = visual + text
    after = check_update(length, every) + asked
    room = round(share * full) + text - after
    if room < max(1, protected):
        raise ItemError(
            f"{share:.0%} of {full} visual tokens and all {text} others are {room} tokens at the last update, fewer "
            f"than protect_first + protect_recent = {protected}; protect fewer tokens, or use more frames, a larger "
            "budget or a smaller update_every"
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
            f"a prompt of {length} tokens is shorter than update_every={every}, so nothing would be evicted; use more "
            "frames or a smaller update_every"
        )
    return after
