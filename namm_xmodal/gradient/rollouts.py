"""Random evictions, drawn token by token, for policy gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import Candidates, Observation
from namm_xmodal.policies.wrapper import PassesOn


@dataclass(frozen=True)
class RolloutSettings:
    """How evictions are drawn.

    Attributes:
        rollouts: Independent draws of one sample, at least 2: each is judged against the others.
        temperature: Of the chance to stay, sigmoid((score - threshold) / temperature).
    """

    rollouts: int = 8
    temperature: float = 0.1

    def __post_init__(self) -> None:
        """Refuses values out of range.

        Raises:
            ConfigError: With the value given and the one expected.
        """
        if self.rollouts < 2:
            raise ConfigError(f"rollouts={self.rollouts}: expected at least 2, since each is compared with the others")
        if not self.temperature > 0.0:
            raise ConfigError(f"temperature={self.temperature}: expected a positive number")


@dataclass(frozen=True)
class Decisions:
    """One layer at one update, R rollouts.

    Attributes:
        seen: Tokens seen.
        layer: Which one.
        aim: Tokens at its threshold stay with a chance of one half.
        constants: (R, H, num_constants, S) what the features saw; see `Features.constants`.
        live: (R, H, S) bool, tokens cached before the update.
        free: (R, H, S) bool, those of them that are not protected: each was drawn for.
        kept: (R, H, S) bool, what stayed, protected tokens included.
    """

    seen: int
    layer: int
    aim: Aim
    constants: Tensor
    live: Tensor
    free: Tensor
    kept: Tensor

    def scores(self, policy: Namm, vector: Tensor) -> Tensor:
        """(R, H, S) scores by an (N,) vector."""
        return policy.score_constants(self.constants, self.live, vector[None, None])

    def logits(self, policy: Namm, vector: Tensor, temperature: float) -> Tensor:
        """(R, H, S) log-odds that a token stays, by an (N,) vector."""
        scores = self.scores(policy, vector)
        return (
            self.aim.margins(scores, self.live, self.free, self.seen, self.layer, slope=1 / temperature) / temperature
        )


class SampledEvictions(PassesOn):
    """A NAMM that keeps a token by chance, one batch row per rollout, and writes down what it drew.

    Attributes:
        base: The NAMM whose features, scorer and statistics are used; its own parameters are not.
        decisions: Everything drawn so far, in order.
    """

    def __init__(self, base: Namm, vector: Tensor, aim: Aim, temperature: float, generator: torch.Generator) -> None:
        """Draws nothing yet.

        Args:
            base: See above.
            vector: (N,) parameters.
            aim: What is at the threshold.
            temperature: See `RolloutSettings`.
            generator: On the CPU, so that every device draws the same.
        """
        self.base: Namm = base
        self.decisions: list[Decisions] = []
        self._vector, self._aim, self._temperature, self._generator = vector, aim, temperature, generator
        self._constants: Tensor | None = None  # of the update under way: between `score` and `keep`

    def score(self, observation: Observation) -> Tensor:
        """(R, H, S) scores by the vector."""
        self._constants = self.base.features.constants(observation, self.base.statistics)
        return self.base.score_constants(self._constants, observation.live, self._vector[None, None])

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """(R, H, S) bool: protected tokens, and of the other live ones those that chance keeps."""
        assert self._constants is not None
        free = candidates.live & ~candidates.protected
        margins = self._aim.margins(
            scores, candidates.live, free, candidates.seen, candidates.shape.layer, slope=1 / self._temperature
        )
        chance = torch.sigmoid(margins / self._temperature)
        drawn = torch.rand(scores.shape, generator=self._generator, dtype=torch.float64).to(scores.device) < chance
        kept = candidates.live & (drawn | candidates.protected)
        self.decisions.append(
            Decisions(candidates.seen, candidates.shape.layer, self._aim, self._constants, candidates.live, free, kept)
        )
        return kept
