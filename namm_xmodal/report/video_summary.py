"""Accuracy of each policy and rival on a video benchmark, with intervals, paired differences, skips and costs."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.config import BootstrapConfig
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.statistics import Interval

GROUPINGS = ("kind", "duration", "evidence")
"""Tags by which accuracy is shown apart."""


@dataclass(frozen=True)
class VideoRow:
    """One policy or rival at one size.

    Attributes:
        policy: Label.
        budget: Share of the visual tokens asked for, None where nothing is.
        protocol: `clock`, `prompt_end`, `before` (a rival before the cache) or `none` (the full cache).
        accuracy: Share of right answers by likelihood, with interval; None if nothing was answered.
        difference: To the full cache on the same questions; None for itself.
        macro: Mean over question types of their accuracies, with interval.
        generated: Accuracy of generated answers; None without generation.
        generated_answered: The same over questions whose generated answer could be parsed.
        answered: Questions answered.
        skipped: Questions without an answer, because they or their video could not be used.
        unparsed: Generated answers that name no option.
        salvaged: Questions answered from a damaged video.
        kept: Visual tokens in the cache when answering, as a share of the whole video's.
        vision_seconds: Mean CPU time of the vision tower per video; shared by all rows.
        prefill_seconds: Mean CPU time of reading the prompt.
        decode_seconds: Mean CPU time of comparing options, and of generation.
        live_bytes: Mean bytes of keys and values when answering.
        apart: Grouping -> group -> (accuracy, questions).
        statistics: Where a NAMM's feature statistics come from.
    """

    policy: str
    budget: float | None
    protocol: str
    accuracy: Interval | None
    difference: Interval | None
    macro: Interval | None
    generated: float | None
    generated_answered: float | None
    answered: int
    skipped: int
    unparsed: int
    salvaged: int
    kept: float
    vision_seconds: float
    prefill_seconds: float
    decode_seconds: float
    live_bytes: float
    apart: dict[str, dict[str, tuple[float, int]]]
    statistics: str

    @property
    def size(self) -> str:
        """The size asked for, in words."""
        if self.protocol == "none":
            return "all"
        return "own" if self.budget is None else f"{self.budget:.0%}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        content = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("accuracy", "difference", "macro"):
            content[name] = None if content[name] is None else content[name].to_json()
        content["apart"] = {
            grouping: {group: {"accuracy": score, "n": n} for group, (score, n) in groups.items()}
            for grouping, groups in self.apart.items()
        }
        return content


def summarise_videos(records: Iterable[Record], bootstrap: BootstrapConfig) -> list[VideoRow]:
    """One row per policy and size, in the order of the records."""
    groups: dict[tuple[str, str, str], list[Record]] = defaultdict(list)
    for record in records:
        groups[record.key[2:]].append(record)
    full = next((group for key, group in groups.items() if key[2] == "none"), [])
    reference = {record.sample: record for record in full if "accuracy" in record.scores}
    return [_row(group, reference, bootstrap) for group in groups.values()]


def _row(group: Sequence[Record], reference: dict[int, Record], bootstrap: BootstrapConfig) -> VideoRow:
    first = group[0]
    answered = [record for record in group if record.tags["status"] == "answered"]
    scored = [record for record in group if "accuracy" in record.scores]
    paired = [record for record in scored if record.sample in reference]
    right = np.array([record.scores["accuracy"] for record in scored])
    kinds = [str(record.tags["kind"]) for record in scored]
    difference = None
    if paired and first.protocol != "none":
        values = [record.scores["accuracy"] - reference[record.sample].scores["accuracy"] for record in paired]
        difference = _interval(np.array(values), _mean, bootstrap)
    generated = [record for record in scored if "generated_accuracy" in record.scores]
    parsed = [record for record in generated if record.tags.get("parsed") is not None]

    def average(values: Iterable[float]) -> float:
        found = list(values)
        return float(np.mean(found)) if found else 0.0

    def tag(name: str) -> float:
        return average(record.tags[name] for record in answered)

    return VideoRow(
        policy=first.policy,
        budget=None if first.budget is None else float(first.budget),
        protocol=first.protocol,
        accuracy=_interval(right, _mean, bootstrap) if scored else None,
        difference=difference,
        macro=_interval(right, _macro_over(kinds), bootstrap) if scored else None,
        generated=average(r.scores["generated_accuracy"] for r in generated) if generated else None,
        generated_answered=average(r.scores["generated_accuracy"] for r in parsed) if parsed else None,
        answered=len(answered),
        skipped=len(group) - len(answered),
        unparsed=sum("parsed" in record.tags and record.tags["parsed"] is None for record in answered),
        salvaged=sum(any("damaged" in n or "truncated" in n for n in record.tags["notes"]) for record in answered),
        kept=average(record.kept_fraction for record in answered),
        vision_seconds=tag("vision_seconds"),
        prefill_seconds=tag("prefill_seconds"),
        decode_seconds=tag("decode_seconds"),
        live_bytes=average(record.live_bytes for record in answered),
        apart={grouping: _apart(scored, grouping) for grouping in GROUPINGS},
        statistics=first.statistics,
    )


def _apart(scored: Sequence[Record], grouping: str) -> dict[str, tuple[float, int]]:
    found: dict[str, list[float]] = defaultdict(list)
    for record in scored:
        name = record.tags.get(grouping)
        if name:
            found[str(name)].append(record.scores["accuracy"])
    return {name: (float(np.mean(values)), len(values)) for name, values in sorted(found.items())}


def _mean(values: NDArray[np.float64], places: NDArray[np.int64]) -> float:
    return float(values[places].mean())


def _macro_over(kinds: Sequence[str]) -> Callable[[NDArray[np.float64], NDArray[np.int64]], float]:
    names = np.array(kinds)

    def macro(values: NDArray[np.float64], places: NDArray[np.int64]) -> float:
        drawn, labels = values[places], names[places]
        return float(np.mean([drawn[labels == name].mean() for name in np.unique(labels)]))

    return macro


def _interval(
    values: NDArray[np.float64],
    statistic: Callable[[NDArray[np.float64], NDArray[np.int64]], float],
    bootstrap: BootstrapConfig,
) -> Interval:
    """Percentile bootstrap over questions of any statistic of them."""
    count = len(values)
    mean = statistic(values, np.arange(count))
    low = high = None
    if count > 1:
        rng = np.random.default_rng(bootstrap.seed)
        drawn = [statistic(values, rng.integers(0, count, count)) for _ in range(bootstrap.resamples)]
        edges = [(1 - bootstrap.level) / 2, (1 + bootstrap.level) / 2]
        low, high = (float(each) for each in np.quantile(drawn, edges))
    return Interval(mean, low, high, count, bootstrap.level, bootstrap.resamples, bootstrap.seed)
