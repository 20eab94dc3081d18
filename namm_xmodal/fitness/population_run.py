"""Scores many prunings of one sample in one batch: the prefix before the first update is shared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.evolution.objective import ShardResult
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.memory import Memory, pruned
from namm_xmodal.policies.protocol import Policy

Wanted = Callable[[Mapping[str, Any]], dict[str, Any]]
"""From inputs to inputs that also say which outputs are wanted."""


@dataclass(frozen=True)
class PruningSettings:
    """How every row prunes.

    Attributes:
        update_every: Tokens between updates.
        protect_first: Oldest tokens that always stay.
        protect_recent: Newest tokens that always stay.
    """

    update_every: int
    protect_first: int = 0
    protect_recent: int = 1


@dataclass(frozen=True)
class SampleScores:
    """One sample in P rows.

    Attributes:
        scores: (P,) probability of the answer per token (geometric mean), in [0, 1].
        kept: (P,) live tokens over tokens seen when the last answer token is read, averaged over layers and heads.
        seconds: CPU seconds of the shared prefix and of the rows.
    """

    scores: NDArray[np.float64]
    kept: NDArray[np.float64]
    seconds: dict[str, float]


def by_sample(runs: Sequence[SampleScores], base: Sequence[float]) -> ShardResult:
    """Samples of the same rows, one after the other, and the scores of the unpruned model on them."""
    seconds = {name: sum(run.seconds[name] for run in runs) for name in runs[0].seconds}
    scores, kept = np.stack([run.scores for run in runs], 1), np.stack([run.kept for run in runs], 1)
    return ShardResult(scores, np.array(base), kept, seconds)


def joined(blocks: Sequence[ShardResult]) -> ShardResult:
    """Blocks of rows that were scored on the same samples."""
    seconds = {name: sum(block.seconds[name] for block in blocks) for name in blocks[0].seconds}
    scores, kept = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("scores", "kept"))
    return ShardResult(scores, blocks[0].base, kept, seconds)


class Rows:
    """One input that is read several times side by side, each row pruned in its own way.

    Attributes:
        read: Tokens read so far.
    """

    def __init__(self, memory: Memory, cache: PrunedCache, inputs: Mapping[str, Tensor], count: int) -> None:
        """Reads nothing yet; used by `pruned_rows`."""
        self.read, self._memory, self._cache, self._inputs, self._count = 0, memory, cache, inputs, count
        self._start = self._middle = process_time()

    def forward(self, stop: int, wanted: Wanted) -> Tensor:
        """Reads on up to token `stop`; returns what the adapter's `forward` returns for `wanted` of these inputs."""
        part = {name: each[:, self.read : stop] for name, each in self._inputs.items()}
        rows = {name: each.expand(self._count, *each.shape[1:]) for name, each in part.items()}
        return self._forward(rows, stop, wanted)

    def forward_once(self, stop: int, wanted: Wanted) -> None:
        """Reads the first tokens in one row, then gives each of the others a copy."""
        if stop > 0:
            self._forward({name: each[:, :stop] for name, each in self._inputs.items()}, stop, wanted)
            self._cache.batch_repeat_interleave(self._count)
        self._middle = process_time()

    def kept(self) -> NDArray[np.float64]:
        """(P,) kept fraction of each row, averaged over layers and kv heads."""
        per_layer = torch.stack([layer.kept.double().mean(-1) for layer in self._cache.layers])  # (layers, P)
        result: NDArray[np.float64] = (per_layer.mean(0) / self._cache.layers[0].seen).cpu().numpy()
        return result

    def scored(self, scores: NDArray[np.float64]) -> SampleScores:
        """The result, with what was kept and the time it took."""
        seconds = {"prefix": self._middle - self._start, "members": process_time() - self._middle}
        return SampleScores(scores, self.kept(), seconds)

    def _forward(self, inputs: Mapping[str, Tensor], stop: int, wanted: Wanted) -> Tensor:
        self.read = stop
        return self._memory.adapter.forward(self._memory.model, wanted(inputs), self._cache)


@contextmanager
def pruned_rows(
    model: Any, inputs: Mapping[str, Tensor], policy: Policy, count: int, settings: PruningSettings
) -> Iterator[Rows]:
    """A model that reads one input, (1, T, ...) tensors, in `count` rows; the policy prunes each of them by itself."""
    with pruned(
        model,
        policy,
        update_every=settings.update_every,
        protect_first=settings.protect_first,
        protect_recent=settings.protect_recent,
        attention="tiled",
    ) as memory:
        yield Rows(memory, memory.cache(), inputs, count)


@torch.no_grad()
def run_rows(model: Any, sample: TrainingSample, policy: Policy, count: int, settings: PruningSettings) -> SampleScores:
    """Scores a policy that prunes every row in its own way.

    Cost: `update_every - 1` tokens once, the rest of the sample once per row; output logits for the answer only.

    Args:
        model: A causal language model.
        sample: What to read and to score.
        policy: What prunes; before the first update it treats all rows alike.
        count: P.
        settings: How it prunes.
    """
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]], device=model.device)
    answer = torch.tensor(sample.answer, device=model.device)
    length = ids.shape[1]
    with pruned_rows(model, {"input_ids": ids}, policy, count, settings) as rows:
        rows.forward_once(min(settings.update_every - 1, length - len(answer)), partial(_last, 1))
        return rows.scored(_answer_probability(rows.forward(length, partial(_last, len(answer))), answer))


def _last(count: int, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {**inputs, "logits_to_keep": count}


@torch.no_grad()
def base_score(model: Any, sample: TrainingSample) -> float:
    """Probability of the answer per token with the full cache."""
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]], device=model.device)
    answer = torch.tensor(sample.answer, device=model.device)
    logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(answer)).logits
    return float(_answer_probability(logits, answer)[0])


def _answer_probability(logits: Tensor, answer: Tensor) -> NDArray[np.float64]:
    """(P, A, V) logits before each answer token -> (P,) geometric mean of the tokens' probabilities."""
    log_probabilities = logits.float().log_softmax(-1)
    chosen = log_probabilities.gather(-1, answer[None, :, None].expand(len(logits), -1, 1))[..., 0]  # (P, A)
    result: NDArray[np.float64] = chosen.double().mean(-1).exp().cpu().numpy()
    return result
