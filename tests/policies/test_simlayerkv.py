"""SimLayerKV: which layers are lazy, and what they keep."""

import pytest

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.simlayerkv import SimLayerKV


@pytest.mark.parametrize("queries", [1, 3])
def test_a_lazy_layer_keeps_sinks_and_the_newest_alone(layer, queries):
    sinks, recent = 2, 6
    layer.observe(SimLayerKV(queries=queries))
    rows = layer.rows()[:, :, -queries:]
    for row in range(2):
        given, total = 0.0, 0
        stays = {}
        for other, head, slots in layer.heads():
            if other != row:
                continue
            position = layer.positions[row, head].tolist()
            stays[head] = [s for s in slots if position[s] < sinks or position[s] >= layer.seen - recent]
            given += rows[row, head, :, stays[head]].sum().item()
            total += queries
        share = given / total
        for threshold, lazy in ((share - 0.01, True), (share + 0.01, False)):
            policy = SimLayerKV(threshold=threshold, queries=queries, num_sinks=sinks, recent=recent)
            kept = layer.kept(policy)[row]
            for head in range(2):
                slots = stays[head] if lazy else layer.live[row, head].nonzero()[:, 0].tolist()
                assert kept[head] == layer.positions[row, head, slots].tolist()


def test_nothing_is_evicted_before_there_is_anything_else(layer):
    policy = SimLayerKV(num_sinks=4, recent=100)
    assert not policy.may_evict(104, layer.shape)
    assert policy.may_evict(105, layer.shape)


def test_simlayerkv_refuses_what_cannot_work():
    with pytest.raises(ConfigError, match=r"threshold=1.5: expected a number, 0 to 1"):
        SimLayerKV(threshold=1.5)
    with pytest.raises(ConfigError, match="recent=0: expected an integer, 1 or more"):
        SimLayerKV(recent=0)
    with pytest.raises(ConfigError, match="queries=0"):
        SimLayerKV(queries=0)
