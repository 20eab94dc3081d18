"""Members in one batch are the members alone, and share the prefix that nothing is evicted from."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny

from namm_xmodal import Namm, pruned
from namm_xmodal.errors import CheckpointError
from namm_xmodal.policies.namm import FeatureStatistics, NammPopulation

STATISTICS = FeatureStatistics(torch.full((17,), 0.02), torch.full((17,), 0.03))
TEMPLATE = Namm.untrained("zeros", statistics=STATISTICS)
VECTORS = torch.randn(3, 4172, generator=torch.Generator().manual_seed(2)) * 0.3


def alone(model, ids, vector):
    with pruned(model, Namm(vector[None], STATISTICS), update_every=32) as memory:
        logits = model(ids, past_key_values=memory.cache()).logits
        return logits, memory.report().live


@pytest.mark.parametrize("shared", [0, 16, 31])
def test_members_in_one_batch_are_the_members_alone(shared):
    model, ids = tiny("llama", torch.float64), padded_batch(100, rows=1)["input_ids"]
    with pruned(model, NammPopulation(VECTORS, TEMPLATE), update_every=32) as memory:
        cache = memory.cache()
        if shared:
            model(ids[:, :shared], past_key_values=cache)
            cache.batch_repeat_interleave(3)
        logits = model(ids[:, shared:].repeat(3, 1), past_key_values=cache).logits
        live = memory.report().live
    assert len({str([layer[member] for layer in live]) for member in range(3)}) == 3, "members must differ"
    for member in range(3):
        expected, kept = alone(model, ids, VECTORS[member])
        assert (logits[member] - expected[0, shared:]).abs().max() < 1e-10
        assert [layer[member] for layer in live] == [layer[0] for layer in kept]


def test_members_can_prune_several_samples_of_different_length():
    """Rows 0 and 1 are sample 0 under members 2 and 0; rows 2 and 3 the shorter sample 1 under the same members."""
    model, batch = tiny("llama", torch.float64), padded_batch(100, rows=2)
    rows, members = [0, 0, 1, 1], torch.tensor([2, 0, 2, 0])
    inputs = {name: value[rows] for name, value in batch.items()}
    with pruned(model, NammPopulation(VECTORS, TEMPLATE, members), update_every=32) as memory:
        logits = in_chunks(model, inputs, memory.cache(), 100)
    for row, (sample, member) in enumerate(zip(rows, members.tolist(), strict=True)):
        start = 13 * sample
        expected, _ = alone(model, batch["input_ids"][sample : sample + 1, start:], VECTORS[member])
        assert (logits[row, start:] - expected[0]).abs().max() < 1e-10


def test_wrong_sizes_are_refused():
    with pytest.raises(CheckpointError, match="expected"):
        NammPopulation(VECTORS[:, :10], TEMPLATE)
    model, ids = tiny("llama"), padded_batch(64, rows=1)["input_ids"]
    with (
        pruned(model, NammPopulation(VECTORS, TEMPLATE), update_every=32) as memory,
        pytest.raises(CheckpointError, match="repeat the shared prefix"),
    ):
        model(ids, past_key_values=memory.cache())
