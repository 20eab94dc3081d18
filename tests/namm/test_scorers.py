"""The scorers against their formulas, with dead slots, and with parameters per layer and head."""

import pytest
import torch

from namm_xmodal.policies.namm import BamScorer, MlpScorer
from namm_xmodal.policies.namm.scorer import unpack


def bam_by_formula(x: torch.Tensor, flat: torch.Tensor) -> torch.Tensor:
    """(S, C) live features of one head, oldest first -> (S,) scores, as written in the paper's code."""
    channels = x.shape[-1]
    w_in, b_in, w_out, b_out, w, b = unpack(
        flat, [(channels, 96), (96,), (32, 2 * channels), (2 * channels,), (channels,), (1,)]
    )
    q, k, v = (x @ w_in + b_in).split(32, -1)
    older = torch.ones(len(x), len(x)).tril(-1).bool()  # key older than query: hidden
    mixed = (q @ k.T / 32**0.5).masked_fill(older, -torch.inf).softmax(-1) @ v
    residual, gate = (mixed @ w_out + b_out).split(channels, -1)
    return (x * (1 + gate) + residual) @ w + b


@pytest.mark.parametrize("dead", [0.0, 0.4])
@pytest.mark.parametrize("sets", [(1, 1), (1, 3), (2, 1)])
def test_bam_equals_its_formula(sets, dead):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 25, 70, generator=generator)
    live = torch.rand(2, 3, 70, generator=generator) >= dead
    live[..., -1] = True
    scorer = BamScorer()
    flat = torch.randn(*sets, scorer.num_parameters(25), generator=generator) * 0.3
    garbage = features.masked_fill(~live[:, :, None], 1e6)
    scores = scorer.score(garbage, live, flat)
    for row in range(2):
        for head in range(3):
            alive = live[row, head]
            own = flat.expand(2, 3, -1)[row, head]
            expected = bam_by_formula(features[row, head].T[alive].double(), own.double())
            assert (scores[row, head][alive] - expected).abs().max() < 1e-4


def test_bam_has_the_published_size():
    assert BamScorer().num_parameters(25) == 4172


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_mlp_equals_its_formula(depth):
    generator = torch.Generator().manual_seed(1)
    scorer = MlpScorer(hidden=12, depth=depth)
    flat = torch.randn(1, 1, scorer.num_parameters(25), generator=generator) * 0.3
    features = torch.randn(2, 3, 25, 9, generator=generator)
    x, rest = features.transpose(-1, -2), flat[0, 0]
    for layer in range(depth):
        width = x.shape[-1]
        weight, rest = rest[: width * 12].view(width, 12), rest[width * 12 :]
        inner = torch.relu(x @ weight + rest[:12])
        x, rest = (inner if layer == 0 else x + inner), rest[12:]
    assert torch.allclose(scorer.score(features, torch.ones(2, 3, 9).bool(), flat), x @ rest[:-1] + rest[-1], atol=1e-5)


def test_zero_parameters_score_zero():
    for scorer in (BamScorer(), MlpScorer()):
        flat = torch.zeros(1, 1, scorer.num_parameters(25))
        assert not scorer.score(torch.randn(1, 2, 25, 30), torch.ones(1, 2, 30).bool(), flat).any()
