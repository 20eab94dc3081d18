"""Episodes summed up: one row for each policy and size, interquartile means over models and episodes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from namm_xmodal.config import RolloutConfig
from namm_xmodal.envs.minari_data import minari_reference
from namm_xmodal.envs.normalise import D4RL, Normaliser, d4rl
from namm_xmodal.errors import DataError
from namm_xmodal.rollouts.record import RolloutRecord
from namm_xmodal.rollouts.statistics import Aggregate, aggregate


@dataclass(frozen=True)
class RolloutRow:
    """One policy at one size.

    Attributes:
        policy: Label.
        size: The memory asked for, in words.
        budget: Cache size asked for, None where there is none.
        statistics: Which feature statistics a NAMM had.
        returns: Aggregate of the returns.
        scores: Aggregate of the normalised scores, None where there is no reference.
        length: Mean steps of an episode.
        kept_mean: Tokens in memory, averaged over steps, layers and heads, then episodes.
        kept_end: The same at the end of an episode.
        fraction: Tokens in memory over tokens fed, at the end of an episode.
        failed: Episodes that failed. Those that took no step have no return; the others count with what they had.
        cpu_seconds: CPU time per episode.
        survivors: Share of tokens still in memory, [layer][kind][bin of age]; None if nobody looked.
    """

    policy: str
    size: str
    budget: int | float | None
    statistics: str | None
    returns: Aggregate
    scores: Aggregate | None
    length: float
    kept_mean: float
    kept_end: float
    fraction: float
    failed: int
    cpu_seconds: float
    survivors: list[Any] | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "policy": self.policy,
            "size": self.size,
            "budget": self.budget,
            "statistics": self.statistics,
            "returns": self.returns.to_json(),
            "scores": self.scores.to_json() if self.scores else None,
            "length": self.length,
            "kept_mean": self.kept_mean,
            "kept_end": self.kept_end,
            "kept_fraction": self.fraction,
            "failed": self.failed,
            "cpu_seconds": self.cpu_seconds,
            "survivors": self.survivors,
        }


def normaliser_of(config: RolloutConfig, environment: str) -> Normaliser | None:
    """What makes scores of returns; None where returns are shown as they are."""
    if config.score == "measured" and config.references is not None:
        return Normaliser("measured", *config.references)
    if config.score == "dataset" and config.dataset is not None:
        return Normaliser("dataset", *minari_reference(config.dataset))
    known = environment.rsplit("/", 1)[-1].split("-")[0].lower() in D4RL
    return d4rl(environment) if config.score == "d4rl" and known else None


def summarise_rollouts(records: Iterable[RolloutRecord], config: RolloutConfig) -> list[RolloutRow]:
    """Rows in the order of the records.

    Raises:
        DataError: If all episodes of a row failed before their first step.
    """
    groups: dict[tuple[str, str], list[RolloutRecord]] = {}
    for record in records:
        groups.setdefault(record.key[:2], []).append(record)
    return [_row(group, config) for group in groups.values()]


def _row(group: list[RolloutRecord], config: RolloutConfig) -> RolloutRow:
    options: dict[str, Any] = {
        "resamples": config.bootstrap.resamples,
        "level": config.bootstrap.level,
        "seed": config.bootstrap.seed,
        "kind": "mean" if config.score == "success" else "iqm",
    }
    played = [record for record in group if record.episode["length"] or record.episode["stop"] != "failed"]
    if not played:  # zeros would look like results
        message = group[0].episode["message"]
        raise DataError(f"{group[0].policy}: none of its {len(group)} episodes has a return to show ({message})")
    returns: dict[str, list[float]] = {}
    for record in played:
        returns.setdefault(record.model, []).append(record.episode["total"])
    first = group[0]
    normaliser = normaliser_of(config, first.episode["environment"])
    scores = None
    if normaliser is not None:
        scaled = {model: normaliser(np.array(values)).tolist() for model, values in returns.items()}
        scores = aggregate(scaled, **options)
    return RolloutRow(
        policy=first.policy,
        size=first.size,
        budget=first.budget,
        statistics=first.statistics,
        returns=aggregate(returns, **options),
        scores=scores,
        length=_mean(played, "length"),
        kept_mean=_mean(played, "kept_mean"),
        kept_end=_mean(played, "kept_end"),
        fraction=float(
            np.mean(
                [r.episode["kept_end"] / r.episode["tokens_seen"] for r in group if r.episode["tokens_seen"]] or [0]
            )
        ),
        failed=sum(record.episode["stop"] == "failed" for record in group),
        cpu_seconds=float(np.mean([record.cpu_seconds for record in group])),
        survivors=_survivors(group),
    )


def _mean(group: list[RolloutRecord], name: str) -> float:
    return float(np.mean([record.episode[name] for record in group]))


def _survivors(group: list[RolloutRecord]) -> list[Any] | None:
    """[layer][kind][bin]: tokens in memory over tokens fed, summed over all looks; None in a bin that was never filled."""
    looked = [record.episode["survivors"] for record in group if record.episode.get("survivors")]
    if not looked:
        return None
    kept = np.sum([each["kept"] for each in looked], axis=0)  # (layers, kinds, bins)
    fed = np.sum([each["fed"] for each in looked], axis=0)  # (kinds, bins)
    share = np.where(fed > 0, kept / np.maximum(fed, 1), np.nan)
    return [[[None if np.isnan(v) else round(float(v), 4) for v in kind] for kind in layer] for layer in share]
