"""Features without a spectrum: formulas, tiles of any size, parameters of their own in a policy and in a population."""

import pytest
import torch
from observations import observation

from namm_xmodal import Namm, pruned
from namm_xmodal.errors import CheckpointError
from namm_xmodal.policies.namm import Features, FeatureStatistics, NammPopulation
from namm_xmodal.policies.namm.channels import MeanAttention, Projection
from namm_xmodal.policies.protocol import Tile
from namm_xmodal.policies.state import State

KINDS = [MeanAttention, Projection]


def rows(queries=96, seed=0):
    """(1, 2, queries, queries) causal attention."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 2, queries, queries, generator=generator)
    return logits.masked_fill(torch.ones(queries, queries, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


def averages(features, attention, sizes):
    state = State(1, 2, attention.shape[-1], torch.device("cpu"))
    features.start(state)
    first = 0
    for size in sizes:
        features.observe(state, Tile(first, attention[:, :, first : first + size], None))
        first += size
    return features.read(observation(state))


@pytest.mark.parametrize("kind", KINDS)
def test_averages_are_those_of_the_formula_for_any_tiles(kind):
    attention, decay = rows(), 0.95**16
    features = kind(ema_coefficient=0.95)
    expected = torch.zeros(1, 2, features.raw, 96)
    padded = torch.cat([torch.zeros(1, 2, 16, 96), attention], 2)
    for hop in range(6):
        frame = padded[:, :, 16 * hop : 16 * hop + 32]
        new = frame[:, :, 16:].mean(2, keepdim=True) if kind is MeanAttention else frame
        expected = decay * expected + (1 - decay) * new
    for sizes in ([96], [7] * 13 + [5], [16] * 6, [1] * 96, [40, 56]):
        assert torch.allclose(averages(features, attention, sizes), expected, atol=1e-7)


def test_a_projection_of_the_average_is_the_average_of_the_projections():
    attention, features = rows(), Projection()
    weight = torch.randn(32, 17, generator=torch.Generator().manual_seed(1))
    whole = features.project(averages(features, attention, [96]), weight.reshape(1, 1, -1))
    assert whole.shape == (1, 2, 17, 96)
    decay, padded = 0.99**16, torch.cat([torch.zeros(1, 2, 16, 96), attention], 2)
    expected = torch.zeros(1, 2, 17, 96)
    for hop in range(6):
        frame = padded[:, :, 16 * hop : 16 * hop + 32]
        expected = decay * expected + (1 - decay) * torch.einsum("bhqs,qc->bhcs", frame, weight)
    assert torch.allclose(whole, expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_and_alone_in_a_population(kind, tmp_path):
    from families import tiny

    features = Features([kind()])
    statistics = FeatureStatistics(*torch.full((2, features.num_frozen), 0.02), "a test")
    policy = Namm.untrained("random", sigma=0.4, seed=3, features=features, statistics=statistics)
    policy.save_pretrained(tmp_path)
    again = Namm.from_pretrained(tmp_path)
    assert type(again.features.channels[0]) is kind
    other = Namm.untrained("random", sigma=0.4, seed=4, features=features, statistics=statistics)
    model, ids = tiny("llama"), torch.arange(3, 90)[None] % 90
    population = NammPopulation(torch.cat([other.parameters, again.parameters]), policy)
    with torch.no_grad():
        with pruned(model, again, update_every=16) as memory:
            alone = model(ids, past_key_values=memory.cache()).logits
            kept = memory.report().kept_fraction
        with pruned(model, population, update_every=16) as memory:
            both = model(ids.expand(2, -1), past_key_values=memory.cache()).logits
    assert 0.05 < kept < 0.95
    assert torch.allclose(both[1], alone[0], atol=1e-5)
    assert not torch.allclose(both[0], alone[0], atol=1e-3)


def test_vectors_of_other_features_are_refused():
    spectrogram = Namm.untrained("random")
    with pytest.raises(CheckpointError, match=r"expected \(sets, \d+\) for the bam scorer on projection features"):
        Namm(
            spectrogram.parameters,
            FeatureStatistics(torch.zeros(32), torch.ones(32), "a test"),
            Features([Projection()]),
        )
