"""`namm-universal` is what its card says: five numbers with equal weights, in any model, at any size."""

import torch
from families import tiny

from namm_xmodal import ByHead, Geometry, HeadShares, Namm, pruned
from namm_xmodal.policies.fingerprint import fingerprint


def test_five_numbers_and_nothing_to_estimate():
    policy = Namm.from_pretrained("namm-universal")
    assert policy.parameters.count_nonzero() == 5
    assert set(policy.parameters[policy.parameters != 0].tolist()) == {1.0, -1.0}
    assert policy.statistics.mean.shape == (0,)
    assert [channel.name for channel in policy.features.channels] == [
        "mean_attention",
        "key_novelty",
        "nearest_key",
        "value_norm",
    ]
    assert fingerprint(policy) == "5293fe4e0d1a"  # results name it


def test_without_attention_it_is_the_rule_geometry():
    policy = Namm.from_pretrained("namm-universal", max_tokens=0.4)
    weights = policy.parameters.clone()
    weights[0, (weights[0] != 0).nonzero()[0]] = 0.0  # of the mean attention, the first channel
    plain = Namm(weights, policy.statistics, policy.features, threshold=float("-inf"), max_tokens=0.4)
    model, ids = tiny("llama", torch.float64), torch.arange(120)[None] * 7 % 60 + 3
    logits = []
    for each in (plain, Geometry(budget=0.4), policy):
        with torch.no_grad(), pruned(model, each, update_every=16) as memory:
            logits.append(model(input_ids=ids, past_key_values=memory.cache()).logits)
    torch.testing.assert_close(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2])


def test_it_ranks_within_shares_of_heads():
    model = tiny("llama", torch.float64)
    shares = HeadShares.of(torch.tensor([[2.0, 0.2], [1.0, 1.0], [0.4, 1.4]]), "a test")
    policy = ByHead(base=Namm.from_pretrained("namm-universal"), shares=shares, budget=0.3)
    with torch.no_grad(), pruned(model, policy, update_every=32) as memory:
        model(input_ids=torch.arange(128)[None] % 60 + 3, past_key_values=memory.cache())
    live = [[count for row in layer for count in row] for layer in memory.report().live]
    assert [tuple(layer) for layer in live] == [shares.counts(layer, 39, 128, 0) for layer in range(3)]
