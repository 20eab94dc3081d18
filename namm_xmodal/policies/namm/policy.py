"""`Namm`: features, scorer and an evolved parameter vector, put together as a policy (arXiv 2410.13166)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from namm_xmodal.errors import CheckpointError, ClockError, ConfigError
from namm_xmodal.policies.namm.bam import BamScorer
from namm_xmodal.policies.namm.channels.spectrogram import Spectrogram
from namm_xmodal.policies.namm.features import Features
from namm_xmodal.policies.namm.schedule import ThresholdSchedule
from namm_xmodal.policies.namm.scorer import Scorer
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.policies.protocol import Candidates, Observation, Reads, Tile
from namm_xmodal.policies.selection import budget_tokens, check_budget, keep_above, keep_best, keep_best_of_layer
from namm_xmodal.policies.state import State
from namm_xmodal.types import Budget, LayerShape, plain

Sharing = Literal["model", "layer", "head"]


def count_parameters(features: Features, scorer: Scorer) -> int:
    """Length of the flat vector: the scorer's parameters, then each channel's own."""
    return scorer.num_parameters(features.num_inputs) + features.num_parameters


def published_features() -> Features:
    """The spectrogram alone."""
    return Features([Spectrogram()])


@dataclass(frozen=True, eq=False)
class Namm:
    """A neural attention memory model: scores every cached token from its features, evicts those below a threshold.

    Attributes:
        parameters: (sets, N) float32 flat vectors: one set for the whole model, one per layer, or one per layer and kv
            head (layer-major), as `sharing` says.
        statistics: What the features' frozen channels are standardised by.
        features: Which numbers the scorer sees of a token; the spectrogram of received attention as published.
        scorer: How numbers become a score.
        sharing: Which layers and heads share a parameter vector; `model` as published.
        threshold: Tokens that score at least this are kept; 0 as published. Raising it at inference time gives smaller
            caches from the same weights.
        max_tokens: Upper bound of kept tokens per head, as tokens or as a fraction of the tokens seen; None for no
            bound.
        schedule: What is added to the threshold after so many tokens, and which share is kept after more; nothing if
            empty, as published.
        metadata: How the policy was made, saved with it.
    """

    parameters: Tensor
    statistics: FeatureStatistics
    features: Features = field(default_factory=published_features)
    scorer: Scorer = field(default_factory=BamScorer)
    sharing: Sharing = "model"
    threshold: float = 0.0
    max_tokens: Budget | None = None
    schedule: ThresholdSchedule = field(default_factory=ThresholdSchedule)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuses parts that do not fit.

        Raises:
            CheckpointError: If shapes do not match or parameters are not finite.
            ConfigError: If `sharing` or `threshold` is out of range.
            BudgetError: If `max_tokens` is.
        """
        expected = count_parameters(self.features, self.scorer)
        if self.parameters.ndim != 2 or self.parameters.shape[-1] != expected:
            raise CheckpointError(
                f"parameters of shape {tuple(self.parameters.shape)}: expected (sets, {expected}) for the "
                f"{self.scorer.name} scorer on {self.features.name} features"
            )
        if not bool(torch.isfinite(self.parameters).all()):
            raise CheckpointError("parameters contain NaN or infinity: the file is damaged or the evolution diverged")
        if self.statistics.mean.shape != (self.features.num_frozen,):
            raise CheckpointError(
                f"statistics of {self.statistics.mean.shape[0]} numbers: the {self.features.name} features have "
                f"{self.features.num_frozen} that are standardised by frozen statistics; estimate them again"
            )
        if self.sharing not in ("model", "layer", "head"):
            raise ConfigError(f"sharing={self.sharing!r}: expected 'model', 'layer' or 'head'")
        if self.sharing == "model" and self.parameters.shape[0] != 1:
            raise CheckpointError(
                f"{self.parameters.shape[0]} parameter sets with sharing='model': expected 1, or another sharing"
            )
        if not self.threshold == self.threshold:
            raise ConfigError("threshold=nan: expected a number, 0 as published")
        object.__setattr__(self, "max_tokens", plain(self.max_tokens))
        if self.max_tokens is not None:
            check_budget(self.max_tokens)

    # ------------------------------------------------------------------ the policy protocol
    @property
    def reads(self) -> Reads:
        """What the channels need together."""
        return self.features.reads

    def start(self, state: State, shape: LayerShape) -> None:
        """Declares the features' buffers; refuses a model that has other layers or heads than the parameters."""
        sets = {"model": 1, "layer": shape.num_layers, "head": shape.num_layers * shape.num_key_value_heads}[
            self.sharing
        ]
        if self.parameters.shape[0] != sets:
            raise CheckpointError(
                f"{self.parameters.shape[0]} parameter sets with sharing={self.sharing!r}, but this model needs "
                f"{sets}; use a policy with sharing='model', which fits any model"
            )
        self.schedule.check_layers(shape.num_layers)
        self.features.start(state)

    def observe(self, state: State, tile: Tile) -> None:
        """Takes attention rows in."""
        self.features.observe(state, tile)

    def score(self, observation: Observation) -> Tensor:
        """Scores (B, H, S); at least `threshold` means keep."""
        return self.score_with(observation, self._parameters_of(observation.shape, observation.keys.device))

    def score_with(self, observation: Observation, parameters: Tensor) -> Tensor:
        """Scores (B, H, S) by other vectors (B or 1, H or 1, N) on the same features."""
        return self.score_constants(self.features.constants(observation, self.statistics), observation.live, parameters)

    def score_constants(self, constants: Tensor, live: Tensor, parameters: Tensor) -> Tensor:
        """Scores (B, H, S) of what the features saw earlier, for training on recorded updates.

        Args:
            constants: (B, H, num_constants, S) as `Features.constants` returns them.
            live: (B, H, S) bool.
            parameters: (B or 1, H or 1, N).
        """
        own = self.features.num_parameters
        of_scorer, of_features = parameters.split([parameters.shape[-1] - own, own], dim=-1)
        return self.scorer.score(self.features.project(constants, of_features), live, of_scorer)

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Tokens at or above the threshold, or the layer's share of the best; at most `max_tokens` of them per head.

        Where the schedule gives a share, the heads of a layer compete for it by score, and protected tokens count. An
        infinite threshold decides by itself at any length: `-inf` leaves the choice to `max_tokens`.
        """
        share = self.schedule.share(candidates.seen, candidates.shape.layer) if math.isfinite(self.threshold) else None
        if share is None:
            keep = keep_above(scores, candidates, self.threshold_after(candidates.seen))
        else:
            keep = keep_best_of_layer(scores, candidates, round(share * candidates.seen * scores.shape[1]))
        if self.max_tokens is None:
            return keep
        return keep & keep_best(scores, candidates, budget_tokens(self.max_tokens, candidates.seen))

    def threshold_after(self, seen: int) -> float:
        """The threshold after so many tokens: `threshold` plus what the schedule adds."""
        return self.threshold + self.schedule.at(seen)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Always: any token may score below the threshold."""
        return True

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """Updates must fall on whole hops; a cap in tokens must hold the protected ones."""
        if update_every is not None and update_every % self.features.hop:
            nearest = max(self.features.hop, round(update_every / self.features.hop) * self.features.hop)
            raise ClockError(
                f"update_every={update_every}: expected a multiple of this NAMM's hop of {self.features.hop} tokens, "
                f"for example {nearest}"
            )
        if self.max_tokens is not None:
            check_budget(self.max_tokens, protect_first, protect_recent)

    def _parameters_of(self, shape: LayerShape, device: torch.device) -> Tensor:
        """(1, 1 or H, N) vectors for the heads of one layer."""
        parameters = self.parameters.to(device)
        if self.sharing == "model":
            return parameters[None]
        if self.sharing == "layer":
            return parameters[shape.layer][None, None]
        heads = shape.num_key_value_heads
        return parameters[shape.layer * heads : (shape.layer + 1) * heads][None]

    # ------------------------------------------------------------------ making one
    @classmethod
    def untrained(
        cls,
        init: Literal["zeros", "random"] = "zeros",
        *,
        sigma: float = 0.065,
        seed: int = 0,
        statistics: FeatureStatistics | None = None,
        features: Features | None = None,
        scorer: Scorer | None = None,
        **settings: Any,
    ) -> "Namm":
        """A NAMM before evolution: zeros score 0 everywhere and keep everything; `random` draws N(0, sigma^2).

        Args:
            init: `zeros` or `random`.
            sigma: Deviation of random parameters; 0.065 is the published initial step size.
            seed: Seed of the random parameters.
            statistics: Feature statistics; mean 0 and deviation 1 (raw features) if None.
            features: Defaults to the spectrogram.
            scorer: Defaults to `BamScorer()`.
            **settings: `threshold`, `max_tokens`, `schedule`, `metadata`.
        """
        features = features or published_features()
        scorer = scorer or BamScorer()
        count = count_parameters(features, scorer)
        if init == "zeros":
            parameters = torch.zeros(1, count)
        elif init == "random":
            parameters = torch.randn(1, count, generator=torch.Generator().manual_seed(seed)) * sigma
        else:
            raise ConfigError(f"init={init!r}: expected 'zeros' or 'random'")
        if statistics is None:
            statistics = FeatureStatistics.identity(features.num_frozen)
        return cls(parameters, statistics, features, scorer, **settings)

    def with_statistics(self, statistics: FeatureStatistics) -> "Namm":
        """The same policy with other feature statistics, for example estimated on the target model."""
        return replace(self, statistics=statistics)

    def with_thresholds(self, schedule: ThresholdSchedule) -> "Namm":
        """The same network deciding by thresholds, which replace `max_tokens` if that decided alone (threshold -inf)."""
        bound = None if self.threshold == -math.inf else self.max_tokens
        return replace(self, threshold=0.0, schedule=schedule, max_tokens=bound)

    def holding(self, beyond: float | Sequence[float] | Literal["last"]) -> "Namm":
        """The same policy with another rule beyond the last knot of its schedule, at every length if it has none.

        Args:
            beyond: The share of the tokens seen that is kept there, one for all layers or one for each; or `last`: the
                last threshold holds.

        Raises:
            ConfigError: If a share is not above 0 and at most 1.
        """
        shares = () if beyond == "last" else (beyond,) if isinstance(beyond, int | float) else tuple(beyond)
        if not all(isinstance(share, int | float) for share in shares):
            raise ConfigError(f"beyond={beyond!r}: expected a share such as 0.25, one for each layer, or 'last'")
        return replace(self, schedule=replace(self.schedule, beyond=tuple(map(float, shares))))

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, *, revision: str | None = None, **knobs: Any) -> "Namm":
        """Loads a saved policy.

        Args:
            name_or_path: A folder, the name of a policy shipped with the package, or a hub id.
            revision: Branch, tag or commit on the hub.
            **knobs: `threshold`, `max_tokens` or `schedule` to use instead of the saved ones; `beyond` as of `holding`.

        Raises:
            CheckpointError: If there is none, or it is damaged or of another format version.
        """
        from namm_xmodal.policies.namm.store import load

        policy = load(name_or_path, revision=revision)
        unknown = sorted(set(knobs) - {"threshold", "max_tokens", "schedule", "beyond"})
        if unknown:
            raise ConfigError(
                f"{unknown[0]}: expected threshold, max_tokens, schedule or beyond (the rest is part of the saved policy)"
            )
        beyond = knobs.pop("beyond", None)
        policy = replace(policy, **knobs) if knobs else policy
        return policy if beyond is None else policy.holding(beyond)

    @classmethod
    def from_published(cls, checkpoint: str | Path, **knobs: Any) -> "Namm":
        """Imports a checkpoint of the published code; see `namm_xmodal.policies.namm.published`."""
        from namm_xmodal.policies.namm.published import load_published

        return replace(load_published(checkpoint), **knobs)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes `config.json` and `model.safetensors` into `folder`, each replaced atomically."""
        from namm_xmodal.policies.namm.store import save

        save(self, folder)

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Uploads the policy to the hub; returns the address of the commit."""
        from namm_xmodal.policies.namm.store import push

        return push(self, repo_id, private=private, token=token)

    def __repr__(self) -> str:
        """One line: parts, size, knobs and where the statistics come from."""
        sets = "" if self.parameters.shape[0] == 1 else f" x {self.parameters.shape[0]} ({self.sharing})"
        knobs = f", threshold={self.threshold:g}" + (f", max_tokens={self.max_tokens}" if self.max_tokens else "")
        knobs += f", scheduled up to {self.schedule.seen[-1]:,} tokens" if self.schedule.seen else ""
        if beyond := self.schedule.beyond:
            knobs += f", {sum(beyond) / len(beyond):.0%} {'beyond' if self.schedule.seen else 'kept'}"
        return (
            f"Namm({self.features.name} -> {self.scorer.name}, {self.parameters.shape[-1]:,} parameters{sets}{knobs}, "
            f"statistics: {self.statistics.source})"
        )
