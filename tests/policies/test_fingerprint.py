"""A fingerprint follows fields and weights, and nothing else."""

from dataclasses import replace

import torch

from namm_xmodal import H2O, AdaKV, Namm, SnapKV
from namm_xmodal.policies.fingerprint import fingerprint


def test_equal_policies_have_equal_fingerprints():
    assert fingerprint(H2O(budget=0.5)) == fingerprint(H2O(budget=0.5))
    assert fingerprint(Namm.untrained("random")) == fingerprint(Namm.untrained("random"))
    assert fingerprint(Namm.untrained("random")) == fingerprint(Namm.untrained("random", metadata={"who": "me"}))


def test_fields_bases_and_weights_count():
    namm = Namm.untrained("random")
    moved = namm.parameters.clone()
    moved[0, 7] += 1e-6
    policies = [
        None,
        H2O(budget=0.5),
        H2O(budget=0.25),
        SnapKV(budget=0.5),
        AdaKV(base=SnapKV(budget=0.5)),
        AdaKV(base=SnapKV(budget=0.5, window=8)),
        namm,
        replace(namm, parameters=moved),
        replace(namm, threshold=0.1),
        namm.with_statistics(replace(namm.statistics, std=namm.statistics.std * 2)),
    ]
    assert len({fingerprint(policy) for policy in policies}) == len(policies)
    assert torch.equal(namm.parameters, Namm.untrained("random").parameters)
