"""Scores a whole population on one sample: the prefix that nobody can prune runs once, then members advance as rows."""

from dataclasses import dataclass
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.cache.pruned_cache import PrunedCache
from namm_xmodal.fitness.pool import TrainingSample
from namm_xmodal.memory import pruned
from namm_xmodal.policies.namm import Namm, NammPopulation
from namm_xmodal.policies.protocol import Policy


@dataclass(frozen=True)
class PruningSettings:
    """How every member prunes.

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
    """One sample under P members.

    Attributes:
        scores: (P,) probability of the answer per token (geometric mean), in [0, 1].
        kept: (P,) live tokens over tokens seen when the last answer token is read, averaged over layers and heads.
        seconds: CPU seconds of the shared prefix and of the members.
    """

    scores: NDArray[np.float64]
    kept: NDArray[np.float64]
    seconds: dict[str, float]


def run_population(
    model: Any, sample: TrainingSample, members: Tensor, template: Namm, settings: PruningSettings
) -> SampleScores:
    """Scores members on one sample in one batch.

    Args:
        model: A causal language model.
        sample: What to read and to score.
        members: (P, N) float32 parameters.
        template: What members share.
        settings: How they prune.
    """
    return run_rows(model, sample, NammPopulation(members, template), len(members), settings)


@torch.no_grad()
def run_rows(model: Any, sample: TrainingSample, policy: Policy, rows: int, settings: PruningSettings) -> SampleScores:
    """Scores a policy that treats every batch row in its own way.

    Cost: `update_every - 1` tokens once, the rest of the sample once per row; output logits for the answer only.

    Args:
        model: A causal language model.
        sample: What to read and to score.
        policy: What prunes; before the first update it treats all rows alike.
        rows: P.
        settings: How it prunes.
    """
    ids = torch.tensor([[*sample.prompt, *sample.answer[:-1]]], device=model.device)
    answer = torch.tensor(sample.answer, device=model.device)
    shared = min(settings.update_every - 1, ids.shape[1] - len(sample.answer))
    start = process_time()
    with pruned(
        model,
        policy,
        update_every=settings.update_every,
        protect_first=settings.protect_first,
        protect_recent=settings.protect_recent,
        attention="tiled",
    ) as memory:
        cache = memory.cache()
        if shared > 0:
            model(input_ids=ids[:, :shared], past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache.batch_repeat_interleave(rows)
        middle = process_time()
        rest = ids[:, shared:].expand(rows, -1)
        logits = model(input_ids=rest, past_key_values=cache, use_cache=True, logits_to_keep=len(answer)).logits
        scores = _answer_probability(logits, answer)
        kept = _kept_by_row(cache)
    return SampleScores(scores, kept, {"prefix": middle - start, "members": process_time() - middle})


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


def _kept_by_row(cache: PrunedCache) -> NDArray[np.float64]:
    """(P,) kept fraction of each row, averaged over layers and kv heads."""
    per_layer = torch.stack([layer.kept.double().mean(-1) for layer in cache.layers])  # (layers, P)
    result: NDArray[np.float64] = (per_layer.mean(0) / cache.layers[0].seen).cpu().numpy()
    return result
