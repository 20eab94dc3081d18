"""A model under `torch.compile` is pruned as it is without, with graph breaks where the engine begins, not inside."""

import pytest
import torch
from families import tiny

from namm_xmodal import KeyDiff, Namm, pruned
from namm_xmodal.policies.namm import FeatureStatistics

STATISTICS = FeatureStatistics(torch.full((17,), 0.02), torch.full((17,), 0.03))


@pytest.mark.parametrize(
    "policy",
    [KeyDiff(budget=24), Namm.untrained("random", sigma=0.3, seed=1, statistics=STATISTICS)],
    ids=["keydiff", "namm"],
)
def test_a_compiled_model_gives_the_same(policy):
    model = tiny("llama")
    ids = torch.randint(3, 97, (1, 80), generator=torch.Generator().manual_seed(0))

    def read(callable_model):
        with torch.no_grad(), pruned(model, policy, update_every=16) as memory:
            cache = memory.cache()
            outputs = [callable_model(ids[:, :70], past_key_values=cache).logits]
            outputs += [callable_model(ids[:, i : i + 1], past_key_values=cache).logits for i in range(70, 80)]
            return torch.cat(outputs, 1), memory.report().kept_fraction

    expected, kept = read(model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    found, also_kept = read(torch.compile(model, backend="eager"))
    assert kept == also_kept < 0.9
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    reasons = {reason.partition("\n")[0] for reason in torch._dynamo.utils.counters["graph_break"]}
    assert any("torch.compiler.disable" in reason for reason in reasons)
    assert not [reason for reason in reasons if "item" in reason.lower() or "data dependent" in reason.lower()]
