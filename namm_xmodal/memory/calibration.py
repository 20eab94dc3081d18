"""Finds the thresholds at which a NAMM keeps a given share of plain text: no labels, no reward, only sizes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.errors import ConfigError, DataError
from namm_xmodal.memory.pruned import pruned
from namm_xmodal.policies.namm import Namm, ThresholdSchedule
from namm_xmodal.policies.protocol import Observation, Reads, Slate, Tile
from namm_xmodal.policies.state import State
from namm_xmodal.types import LayerShape


@dataclass(frozen=True)
class Calibration:
    """Thresholds, and the sizes that they were found to give.

    Attributes:
        schedule: Tokens seen -> threshold.
        kept: Tokens seen -> kept fraction in the last round, layers, heads and texts pooled.
        rounds: How often the texts were read.
    """

    schedule: ThresholdSchedule
    kept: dict[int, float]
    rounds: int


@dataclass
class _Size:
    """One update: what could be evicted, and how much must stay."""

    scores: list[Tensor] = field(default_factory=list)
    protected: int = 0
    kept: int = 0
    full: int = 0


class ScoreRecorder:
    """A NAMM that notes, at every update, the scores that its threshold decides on."""

    def __init__(self, policy: Namm) -> None:
        """Notes nothing yet."""
        self.policy = policy
        self.sizes: dict[int, _Size] = {}

    @property
    def reads(self) -> Reads:
        """As the policy."""
        return self.policy.reads

    def start(self, state: State, shape: LayerShape) -> None:
        """As the policy."""
        self.policy.start(state, shape)

    def observe(self, state: State, tile: Tile) -> None:
        """As the policy."""
        self.policy.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """As the policy: (B, H, S)."""
        return self.policy.score(observation)

    def keep(self, scores: Tensor, slate: Slate) -> Tensor:
        """As the policy: (B, H, S) bool; notes the scores of live tokens that are not protected."""
        keep = self.policy.keep(scores, slate)
        size = self.sizes.setdefault(slate.seen, _Size())
        free = slate.live & ~slate.protected
        size.scores.append(scores[free].float().cpu())
        size.protected += int((slate.live & slate.protected).sum())
        size.kept += int(keep.sum())
        size.full += slate.seen * scores.shape[0] * scores.shape[1]
        return keep

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """As the policy."""
        return self.policy.may_evict(seen, shape)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """As the policy."""
        self.policy.check_clock(update_every, protect_first, protect_recent)


def calibrate(
    model: torch.nn.Module,
    batches: Sequence[Mapping[str, Any]],
    policy: Namm,
    *,
    budget: float,
    floor: int = 0,
    update_every: int,
    protect_first: int = 0,
    protect_recent: int = 1,
    rounds: int = 6,
    tolerance: float = 0.01,
    adapter: Adapter | str | None = None,
    told: Callable[[int, Calibration], None] = lambda number, found: None,
) -> Calibration:
    """Reads texts again and again, each time with the thresholds that would have given the wanted sizes the time before.

    An update sees what earlier ones left, so the first threshold is right after one round, the second after two, and so on;
    in practice all are within a hundredth after three or four, since evictions hardly change the scores of the rest.

    Args:
        model: The model, in evaluation mode.
        batches: What the adapter's `forward` takes, without padding, each as long as the schedule should reach.
        policy: Its own schedule and threshold are where the search starts.
        budget: Wanted share of the tokens seen that is kept after an update, in (0, 1).
        floor: Tokens that are kept at least.
        update_every: The clock of the policy.
        protect_first: Oldest tokens that always stay; they count.
        protect_recent: Newest tokens that always stay; they count.
        rounds: Most readings.
        tolerance: Sizes may be so far from the wanted share, at every update.
        adapter: As in `pruned`.
        told: Called after each round.

    Returns:
        The schedule, to be used with threshold 0: `replace(policy, threshold=0.0, schedule=found.schedule)`.

    Raises:
        ConfigError: If the budget is not between 0 and 1.
        DataError: If no text reaches an update.
    """
    if not 0.0 < budget < 1.0:
        raise ConfigError(f"budget={budget}: expected a share of the cache between 0 and 1, such as 0.25")
    current = policy
    for number in range(1, rounds + 1):
        recorder = ScoreRecorder(current)
        with (
            torch.no_grad(),
            pruned(
                model,
                recorder,
                update_every=update_every,
                protect_first=protect_first,
                protect_recent=protect_recent,
                adapter=adapter,
            ) as memory,
        ):
            for batch in batches:
                memory.adapter.forward(model, batch, memory.cache())
        if not recorder.sizes:
            raise DataError(f"no text reaches an update: expected more than update_every={update_every} tokens")
        kept = {seen: size.kept / size.full for seen, size in sorted(recorder.sizes.items())}
        found = Calibration(ThresholdSchedule.of({seen: current.threshold_after(seen) for seen in kept}), kept, number)
        told(number, found)
        wanted = {seen: max(budget, min(1.0, floor / seen)) for seen in kept}
        if all(abs(kept[seen] - wanted[seen]) <= tolerance for seen in kept):
            break
        thresholds = {seen: _threshold(size, wanted[seen]) for seen, size in recorder.sizes.items()}
        current = replace(policy, threshold=0.0, schedule=ThresholdSchedule.of(thresholds))
    return found


def _threshold(size: _Size, wanted: float) -> float:
    """The score from which on the wanted number of tokens is kept; the lowest one if even all are fewer."""
    scores = torch.cat(size.scores)
    keep = min(scores.numel(), max(0, round(wanted * size.full) - size.protected))
    if keep == 0:
        return float(scores.max()) + 1.0
    return float(scores.kthvalue(scores.numel() - keep + 1).values)
