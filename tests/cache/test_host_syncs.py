"""What a GPU would have to wait for: numbers that Python reads back from tensors, counted while decoding and at updates."""

from collections import Counter

import pytest
import torch
from families import tiny
from torch.utils._python_dispatch import TorchDispatchMode

from namm_xmodal import AdaKV, KeyDiff, Namm, SnapKV, StreamingLLM, pruned
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.namm import FeatureStatistics

STATISTICS = FeatureStatistics(torch.full((17,), 0.02), torch.full((17,), 0.03))
POLICIES = {
    "streaming_llm": StreamingLLM(budget=24),
    "keydiff": KeyDiff(budget=24),
    "snapkv": SnapKV(window=4, budget=24),
    "geometry": Geometry(budget=24),
    "adakv": AdaKV(base=SnapKV(window=4), budget=24),
    "namm": Namm.untrained("random", sigma=0.3, seed=1, statistics=STATISTICS),
}
READ_BACK = {"aten::_local_scalar_dense", "aten::equal", "aten::nonzero", "aten::is_nonzero", "aten::_unique2"}


class ReadBacks(TorchDispatchMode):
    """Counts operations whose result has to come to the host; `tolist` is counted by its own hook, below."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        if name in READ_BACK:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def count(monkeypatch):
    """Runs something; how much it read back."""

    def run(work):
        mode, original = ReadBacks(), torch.Tensor.tolist

        def tolist(tensor):
            mode.counts["tolist"] += 1
            return original(tensor)

        with monkeypatch.context() as patch, mode:
            patch.setattr(torch.Tensor, "tolist", tolist)
            work()
        return mode.counts

    return run


@pytest.mark.parametrize("name", POLICIES)
def test_nothing_is_read_back_while_decoding(count, name):
    model = tiny("llama")
    ids = torch.randint(3, 97, (1, 80), generator=torch.Generator().manual_seed(0))

    def bare(cache):
        return count(lambda: [model(ids[:, i : i + 1], past_key_values=cache, use_cache=True) for i in range(66, 76)])

    with torch.no_grad(), pruned(model, POLICIES[name], update_every=32) as memory:
        cache = memory.cache()
        model(ids[:, :66], past_key_values=cache)
        assert memory.report().kept_fraction < 1
        assert bare(cache) == Counter()


@pytest.mark.parametrize("name", POLICIES)
def test_an_update_reads_back_a_few_numbers_of_each_layer(count, name):
    model = tiny("llama")
    ids = torch.randint(3, 97, (1, 96), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), pruned(model, POLICIES[name], update_every=32) as memory:
        cache = memory.cache()
        model(ids[:, :64], past_key_values=cache)
        counts = count(lambda: model(ids[:, 64:], past_key_values=cache))
    # Whether scores are finite, whether anything goes, how long heads are; on a CPU a NAMM's tiles bound their logits too.
    most = 6 if name == "namm" else 3
    assert sum(counts.values()) <= most * model.config.num_hidden_layers
