"""AdaKV, PyramidKV, ChunkKV and CriticalKV around other policies."""

import pytest
import torch

from namm_xmodal.errors import BudgetError, ConfigError
from namm_xmodal.policies.adakv import AdaKV
from namm_xmodal.policies.chunkkv import ChunkKV
from namm_xmodal.policies.criticalkv import CriticalKV, with_projections
from namm_xmodal.policies.fingerprint import fingerprint
from namm_xmodal.policies.full import FullCache
from namm_xmodal.policies.h2o import H2O
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.pyramidkv import PyramidKV
from namm_xmodal.policies.recency import Recency
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.streaming_llm import StreamingLLM
from namm_xmodal.types import LayerShape


def layer_of(layer, num_layers):
    return LayerShape(layer=layer, num_layers=num_layers, num_attention_heads=4, num_key_value_heads=2, head_dim=8)


def test_adakv_gives_every_head_a_floor_and_the_rest_to_the_best(layer):
    scores = torch.rand(layer.positions.shape, generator=torch.Generator().manual_seed(1))
    scores[:, 0] += 1  # the first head would take everything
    budget, alpha = 6, 0.5
    kept = layer.kept(AdaKV(base=Recency(), budget=budget, alpha=alpha), scores)
    for row in range(2):
        pool, safe = [], set()
        for head in range(2):
            slots = layer.live[row, head].nonzero()[:, 0].tolist()
            slots.sort(key=lambda s: (-(layer.positions[row, head, s] == layer.seen - 1).int(), -scores[row, head, s]))
            floor = 1 + int(alpha * (budget - 1))  # the newest token is protected
            safe |= {(head, s) for s in slots[:floor]}
            pool += [(head, s) for s in slots[floor:]]
        pool.sort(key=lambda place: -scores[row, place[0], place[1]])
        chosen = safe | set(pool[: 2 * budget - len(safe)])
        for head in range(2):
            expected = sorted(layer.positions[row, h, s].item() for h, s in chosen if h == head)
            assert kept[row][head] == expected
        assert sum(len(head) for head in kept[row]) == 2 * budget


def test_adakv_with_alpha_one_is_its_base(layer):
    assert layer.kept(AdaKV(base=KeyDiff(), budget=5, alpha=1.0)) == layer.kept(KeyDiff(budget=5))


def test_adakv_never_exceeds_the_budget_when_the_base_pins_more(layer):
    policy = AdaKV(base=SnapKV(window=10), budget=3)
    layer.observe(policy)
    assert all(len(head) == 3 for row in layer.kept(policy) for head in row)


def test_wrappers_hand_their_budget_on():
    policy = PyramidKV(base=AdaKV(base=H2O(budget=9, normalise=True), budget=8), budget=64)
    assert policy.base.budget == 64
    assert policy.base.base == H2O(budget=64, normalise=True)


def test_wrappers_refuse_what_they_cannot_wrap():
    for make, name in (
        (lambda: AdaKV(base=FullCache()), "FullCache"),
        (lambda: AdaKV(base=PyramidKV()), "PyramidKV"),
        (lambda: AdaKV(base=AdaKV()), "AdaKV"),
        (lambda: PyramidKV(base=PyramidKV()), "PyramidKV"),
        (lambda: PyramidKV(base=FullCache()), "FullCache"),
        (lambda: ChunkKV(base=FullCache()), "FullCache"),
        (lambda: ChunkKV(base=AdaKV()), "AdaKV"),
    ):
        with pytest.raises(ConfigError, match=f"base={name}: expected a budgeted policy"):
            make()
    with pytest.raises(ConfigError, match="alpha=2: expected a number, 0 to 1"):
        AdaKV(alpha=2)
    with pytest.raises(ConfigError, match="beta=0: expected a number, 1 or more"):
        PyramidKV(beta=0)


@pytest.mark.parametrize("num_layers", [1, 2, 5, 30])
@pytest.mark.parametrize("window", [1, 32])
@pytest.mark.parametrize(("budget", "seen"), [(128, 1000), (128, 130), (0.25, 700), (0.9, 700), (33, 500), (64, 40)])
def test_pyramid_budgets_fall_and_average_to_the_budget(num_layers, window, budget, seen):
    policy = PyramidKV(base=SnapKV(window=window), budget=budget)
    tokens = budget if isinstance(budget, int) else round(budget * seen)
    budgets = [policy.layer_budget(seen, layer_of(i, num_layers)) for i in range(num_layers)]
    assert sum(budgets) == tokens * num_layers
    assert budgets == sorted(budgets, reverse=True)
    assert min(budgets) >= min(window, tokens)
    if tokens < seen:
        assert max(budgets) <= seen


def test_pyramid_is_the_line_of_the_paper():
    policy = PyramidKV(base=SnapKV(window=32), budget=32 + 200, beta=20)
    budgets = [policy.layer_budget(10_000, layer_of(i, 5)) - 32 for i in range(5)]
    least, most = 200 / 20, 2 * 200 - 200 / 20
    assert budgets == [most, most - (most - least) / 4, 200, least + (most - least) / 4, least]


def test_pyramid_uses_the_layer_budget_everywhere(layer):
    policy = PyramidKV(base=H2O(), budget=6, beta=3)
    layer.observe(policy)
    budget = policy.layer_budget(layer.seen, layer.shape)
    assert budget > 6
    alone = H2O(budget=budget)
    assert torch.equal(layer.score(policy), layer.score(alone))
    assert layer.kept(policy) == layer.kept(alone)


def test_budgets_below_the_pins_are_refused():
    with pytest.raises(BudgetError, match="for window=32"):
        AdaKV(base=SnapKV(), budget=16).check_clock(64, 0, 1)
    with pytest.raises(
        BudgetError, match=r"budget=40, beta=20: too small for the last layer: budget=2: expected at least 5"
    ):
        PyramidKV(base=StreamingLLM(), budget=40).check_clock(64, 0, 1)
    PyramidKV(base=SnapKV(), budget=64).check_clock(64, 0, 1)


@pytest.mark.parametrize("window", [3, 6])
def test_chunkkv_scores_whole_chunks_in_all_heads(layer, window):
    size, base = 4, SnapKV(window=window, kernel=1)
    layer.observe(base)
    policy = ChunkKV(base=base, chunk=size)
    plain, scores = layer.score(base), layer.score(policy)
    for row in range(2):
        places = [(head, s) for other, head, slots in layer.heads() if other == row for s in slots]
        for head, slot in places:
            if plain[row, head, slot].isinf():
                assert scores[row, head, slot].isinf()
                continue
            chunk = layer.positions[row, head, slot] // size
            mates = [
                plain[row, h, s].item()
                for h, s in places
                if layer.positions[row, h, s] // size == chunk and not plain[row, h, s].isinf()
            ]
            assert scores[row, head, slot].item() == pytest.approx(sum(mates) / len(mates), rel=1e-5)


def test_chunkkv_cuts_at_most_one_chunk(layer):
    layer.positions = torch.arange(6, 20).expand(2, 2, -1).clone()  # every head holds the same tokens
    base = SnapKV(window=4, kernel=1)
    layer.observe(base)
    kept = layer.kept(ChunkKV(base=base, chunk=4, budget=9))
    for row in kept:
        assert row[0] == row[1]  # as the heads of a layer share their choice
        assert len(row[0]) == 9
        cut = [c for c in range(2, 4) if 0 < sum(p // 4 == c for p in row[0] if p < 16) < 4]
        assert len(cut) <= 1


@pytest.mark.parametrize("first_stage", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("projected", [False, True])
def test_criticalkv(layer, first_stage, projected):
    budget, base = 6, SnapKV(window=2, kernel=1)
    layer.observe(base)
    weight = torch.randn(4 * 8, 5, generator=torch.Generator().manual_seed(2))
    policy = CriticalKV(base=base, budget=budget, first_stage=first_stage, eps=0.01)
    if projected:
        policy = with_projections(policy, lambda: [torch.zeros(32, 5), weight])  # the layer is the second one
    plain, scores = layer.score(base), layer.score(policy)
    for row, head, slots in layer.heads():
        values = layer.values[row, head].double()
        best = sorted(slots, key=lambda s: -plain[row, head, s])[: int(budget * first_stage)]
        for slot in slots:
            heads = [weight[8 * h : 8 * h + 8].double() for h in (2 * head, 2 * head + 1)]
            lengths = [float((values[slot] @ part).abs().sum()) for part in heads]
            length = sum(lengths) / 2 if projected else float(values[slot].abs().sum())
            expected = (plain[row, head, slot].item() + 0.01) * length
            if slot in best or plain[row, head, slot].isinf():
                expected = float("inf")
            assert scores[row, head, slot].item() == pytest.approx(expected, rel=1e-5)


def test_projections_reach_a_criticalkv_inside_wrappers_and_count_for_nothing_else():
    policy = PyramidKV(base=AdaKV(base=CriticalKV()))
    found = with_projections(policy, lambda: [torch.ones(32, 5)])
    assert found.base.base.projections is not None
    assert (found, fingerprint(found), repr(found)) == (policy, fingerprint(policy), repr(policy))
    other = AdaKV(base=SnapKV())
    assert with_projections(other, lambda: pytest.fail("nobody needs them")) is other


def test_criticalkv_refuses_what_does_not_score_by_attention():
    for base in (KeyDiff(), AdaKV(), FullCache()):
        with pytest.raises(
            ConfigError, match=f"base={type(base).__name__}: expected a policy that scores by attention"
        ):
            CriticalKV(base=base)
    with pytest.raises(ConfigError, match="first_stage=2: expected a number, 0 to 1"):
        CriticalKV(first_stage=2)
