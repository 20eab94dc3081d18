"""Learning from traces: trains a scorer to rank tokens by the attention they will receive, at every cache size at once."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from namm_xmodal.gradient.sample import Vector
from namm_xmodal.gradient.sets import sets_of
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.namm.policy import Sharing
from namm_xmodal.traces.shards import Traces


@dataclass(frozen=True)
class RankingSettings:
    """Hyper-parameters; see `RankingConfig`."""

    steps: int = 3000
    batch: int = 16
    rate: float = 0.005
    sigma: float = 0.1
    smallest: float = 1 / 32
    across: float = 0.5
    seed: int = 0


def ranking_loss(scores: Tensor, future: Tensor, settings: RankingSettings, generator: torch.Generator) -> Tensor:
    """Share of cache sizes at which a pair of tokens is kept the wrong way round, made smooth.

    A token is in the best cache of a share b if less than a share b of all tokens is attended to more. With sizes spread
    evenly by octave, the chance that a size parts two tokens of ranks u and v (0 = most attended) is |log u - log v| over
    the number of octaves. Pairs are drawn by shuffling: within each head, and across all heads of the batch, so that a
    threshold that all heads share finds the tokens that matter most wherever they are.

    Args:
        scores: (N, S), with gradient.
        future: (N, S) later attention.
        settings: Smallest size and weight of pairs across heads.
        generator: Draws the pairs.
    """
    heads, slots = scores.shape
    inside = torch.randperm(slots, generator=generator)
    ranks = future.argsort(-1, descending=True).argsort(-1)  # (N, S), 0 is the most attended
    within = _pairs(scores, scores[:, inside], *_octaves(ranks, ranks[:, inside], slots, settings.smallest))
    if not settings.across or heads == 1:
        return within
    flat, other = scores.flatten(), torch.randperm(heads * slots, generator=generator)
    everywhere = future.flatten().argsort(descending=True).argsort()
    among = _pairs(flat, flat[other], *_octaves(everywhere, everywhere[other], heads * slots, settings.smallest))
    return (1 - settings.across) * within + settings.across * among


def _octaves(first: Tensor, second: Tensor, count: int, smallest: float) -> tuple[Tensor, Tensor]:
    """Which of a pair is attended to more (1, -1, 0), and the share of sizes that part the two."""
    mine, theirs = (((rank + 1) / count).clamp(min=smallest).log() for rank in (first, second))
    return (second - first).sign().to(mine.dtype), (mine - theirs).abs() / -math.log(smallest)


def _pairs(mine: Tensor, theirs: Tensor, sign: Tensor, weight: Tensor) -> Tensor:
    loss = F.softplus(-(mine - theirs) * sign) * weight
    return loss.sum() / weight.sum().clamp(min=1e-9)


class RankingBatches:
    """Draws heads of the traces of all sources in turn, and takes the loss of parameters on them.

    Attributes:
        sets: Which vector scores which head.
    """

    def __init__(
        self,
        policy: Namm,
        traces: Mapping[str, Sequence[Traces]],
        settings: RankingSettings,
        sharing: Sharing = "model",
    ) -> None:
        """Draws nothing yet.

        Args:
            policy: Whose features, statistics and scorer are used.
            traces: By source; every source has the same share of the steps.
            settings: See above.
            sharing: Which layers and heads share a vector.

        Raises:
            NammError: If the traces cannot train so many vectors; see `sets_of`.
        """
        self.sets = sets_of(traces, sharing)
        self.policy, self.settings = policy, settings
        self._sources = [list(each) for each in traces.values()]

    def loss(self, parameters: Tensor, step: int) -> Tensor:
        """Of the batch of a step; the same step draws the same batch.

        One vector is scored on `batch` heads of an update, several on all heads of it, each by its own in one pass.

        Args:
            parameters: (sets, N), with gradient.
            step: Number of the step.
        """
        generator = torch.Generator().manual_seed(1_000_003 * self.settings.seed + step)
        source = self._sources[step % len(self._sources)]
        traces = source[int(torch.randint(len(source), (1,), generator=generator))]
        several = self.sets.count > 1
        chosen = torch.randperm(len(traces.future), generator=generator)[: None if several else self.settings.batch]
        constants, future = traces.constants[chosen][None], traces.future[chosen]  # (1, N, C, S), (N, S)
        live = torch.ones(1, *future.shape, dtype=torch.bool)
        own = parameters[self.sets.of(traces)[chosen]] if several else parameters  # (N or 1, numbers)
        scores = self.policy.score_constants(constants, live, own[None])
        return ranking_loss(scores[0], future, self.settings, generator)

    def gradient(self, parameters: Vector, step: int, length: float) -> Vector:
        """Mean gradient of the one vector over one batch of each source, scaled to a length."""
        vector = torch.tensor(parameters, dtype=torch.float32, requires_grad=True)
        with torch.enable_grad():
            count = len(self._sources)
            total = torch.stack([self.loss(vector[None], count * step + each) for each in range(count)]).mean()
            (gradient,) = torch.autograd.grad(total, vector)
        found = gradient.double().numpy()
        return found * (length / max(1e-12, float(np.linalg.norm(found))))


def rank(
    batches: RankingBatches,
    count: int,
    on_progress: Callable[[int, float], None] = lambda step, loss: None,
    first: Vector | None = None,
) -> tuple[Vector, list[float]]:
    """Adam, all vectors side by side.

    Args:
        batches: What to learn from.
        count: Parameters of a vector.
        on_progress: Called every hundred steps with the number of steps done and the mean loss of the last hundred.
        first: (count,) where all of them start; at random if None.

    Returns:
        (sets, count) parameters, and the mean loss of every hundred steps.
    """
    settings = batches.settings
    rng = np.random.default_rng([settings.seed, 1])
    start = rng.normal(0.0, settings.sigma, (batches.sets.count, count))
    if first is not None:
        start = np.tile(first, (batches.sets.count, 1))
    vectors = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    adam = torch.optim.Adam([vectors], lr=settings.rate)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, settings.steps)
    losses: list[float] = []
    recent: list[float] = []
    with torch.enable_grad():
        for step in range(settings.steps):
            loss = batches.loss(vectors, step)
            adam.zero_grad()
            (loss * len(vectors)).backward()  # a mean over the heads, of which a vector has one or a few
            assert vectors.grad is not None
            vectors.grad *= (1 / (vectors.grad.norm(dim=-1, keepdim=True) + 1e-6)).clamp(max=1)  # each to length 1
            adam.step()
            cosine.step()
            recent.append(float(loss.detach()))
            if len(recent) == 100 or step + 1 == settings.steps:
                losses.append(float(np.mean(recent)))
                recent.clear()
                on_progress(step + 1, losses[-1])
    return vectors.detach().double().numpy(), losses
