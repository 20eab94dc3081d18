"""A budget divided among heads: sizes, files, models that do not fit."""

import json
from dataclasses import replace

import pytest
import torch
from families import in_chunks, tiny

from namm_xmodal import Namm, pruned
from namm_xmodal.config.policies import build_policy
from namm_xmodal.errors import BudgetError, CheckpointError, ConfigError
from namm_xmodal.policies.adakv import AdaKV
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.head_shares import SHIPPED, HeadShares
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.protocol import Candidates
from namm_xmodal.policies.recency import Recency
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.types import LayerShape

UNEVEN = HeadShares.of(torch.tensor([[4.0, 0.1], [0.0, 1.0], [0.5, 2.0]]), "a test")
EVEN = HeadShares.of(torch.ones(3, 2), "a test")
FOUR = HeadShares.of(torch.ones(4, 2), "a test")


@pytest.mark.parametrize("seen", [40, 128, 1000])
@pytest.mark.parametrize("budget", [13, 31, 39])
@pytest.mark.parametrize("least", [0, 12])
def test_sizes_are_the_budget_on_average_and_never_more(seen, budget, least):
    counts = [count for layer in range(3) for count in UNEVEN.counts(layer, budget, seen, least)]
    assert sum(counts) <= 6 * budget
    full = sum(count == seen for count in counts) == 5  # the head without a share gets nothing even then
    assert (
        full or sum(counts) > 6 * budget - 12
    )  # rounding down costs each head a token, one step of the factor another
    assert all(least <= count <= seen for count in counts)


def test_a_head_that_is_full_leaves_the_rest_to_the_others():
    counts = [UNEVEN.counts(layer, 60, 100, 4) for layer in range(3)]
    assert counts[0][0] == 100
    assert counts[1][0] == 4
    assert sum(sum(layer) for layer in counts) in range(355, 361)


def test_a_budget_below_what_is_protected_keeps_heads_alike():
    assert UNEVEN.counts(0, 8, 100, 12) == (8, 8)


def test_even_shares_are_the_base():
    model = tiny("llama", torch.float64)
    ids = torch.arange(90)[None] % 60 + 3
    outputs = []
    for policy in (ByHead(base=KeyDiff(), shares=EVEN, budget=0.3), KeyDiff(budget=0.3)):
        with pruned(model, policy, update_every=16) as memory:
            outputs.append(in_chunks(model, {"input_ids": ids}, memory.cache(), 90))
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


@pytest.mark.parametrize(
    "base", [Recency(), Geometry(), SnapKV(window=4), Namm.untrained("random")], ids=lambda base: type(base).__name__
)
def test_heads_keep_what_their_shares_say(base):
    model = tiny("llama", torch.float64)
    shares = HeadShares.of(torch.tensor([[3.0, 0.2], [0.4, 0.4], [1.0, 1.0]]), "")
    policy = ByHead(base=base, shares=shares, budget=24)
    with torch.no_grad(), pruned(model, policy, update_every=32, protect_first=4, protect_recent=8) as memory:
        cache = memory.cache()
        model(input_ids=torch.arange(96)[None] % 60 + 3, past_key_values=cache)
    live = [[count for row in layer for count in row] for layer in memory.report().live]
    counts = [shares.counts(layer, 24, 96, 12) for layer in range(3)]
    assert [tuple(layer) for layer in live] == counts
    assert counts[0][0] > 2 * counts[0][1]


def test_the_best_of_each_head_stay():
    scores = torch.tensor([[[3.0, 9.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0]]])
    live, none = torch.ones(1, 2, 4, dtype=torch.bool), torch.zeros(1, 2, 4, dtype=torch.bool)
    policy = ByHead(shares=HeadShares(((1.5, 0.5),)), budget=2)
    keep = policy.keep(scores, Candidates(live, none, 4, LayerShape(0, 1, 2, 2, 8)))
    assert keep.tolist() == [[[True, True, False, True], [False, False, False, True]]]


def test_another_models_shares_are_refused_with_both_sizes():
    model = tiny("llama")
    with (
        pruned(model, ByHead(shares=FOUR), update_every=16) as memory,
        pytest.raises(
            CheckpointError, match="4 layers with 2 kv heads: this model has 3 layers with 2; find shares for it"
        ),
    ):
        model(input_ids=torch.arange(20)[None] + 3, past_key_values=memory.cache())


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ByHead(base=AdaKV(), shares=EVEN), "base=AdaKV: expected a budgeted policy that only scores"),
        (lambda: HeadShares(()), "expected the same number, at least one, in every layer"),
        (lambda: HeadShares(((1.0,), (1.0, 1.0))), "expected the same number, at least one, in every layer"),
        (lambda: HeadShares(((float("nan"),),)), "nan: expected numbers from 0.0001"),
        (lambda: HeadShares(((0.0, 0.0),)), "0: expected numbers from 0.0001"),
        (lambda: HeadShares(((-1.0, 3.0),)), "-1: expected numbers from 0.0001"),
    ],
)
def test_what_is_no_division_is_refused(make, match):
    with pytest.raises((ConfigError, CheckpointError), match=match):
        make()


def test_a_budget_must_hold_the_protected_tokens():
    with pytest.raises(BudgetError, match="protect_first"):
        ByHead(base=Namm.untrained(), shares=EVEN, budget=6).check_clock(64, 4, 8)


def test_files_come_back_as_they_were(tmp_path):
    UNEVEN.save(tmp_path / "shares.json")
    found = HeadShares.from_pretrained(tmp_path / "shares.json")
    assert found == UNEVEN
    assert found.source == "a test"
    assert build_policy({"policy": "by_head", "shares": str(tmp_path / "shares.json"), "budget": 0.5}) == ByHead(
        shares=UNEVEN, budget=0.5
    )


@pytest.mark.parametrize("content", ["", "[]", '{"format": "other"}', '{"format": "namm-xmodal-head-shares"}', "{"])
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "shares.json").write_text(content)
    with pytest.raises(
        CheckpointError, match=r"shares\.json: .*expected a file of `namm-xmodal head-shares`"
    ) as caught:
        HeadShares.from_pretrained(tmp_path / "shares.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weights", [[["a"]], [[True]], "many", [3], [[1, None]]])
def test_weights_that_are_no_numbers_are_refused(tmp_path, weights):
    (tmp_path / "shares.json").write_text(json.dumps({"format": "namm-xmodal-head-shares", "weights": weights}))
    with pytest.raises(CheckpointError, match="expected a file"):
        HeadShares.from_pretrained(tmp_path / "shares.json")


def test_a_missing_file_names_those_that_ship():
    with pytest.raises(CheckpointError, match=r"nowhere\.json: .*smollm2-135m"):
        HeadShares.from_pretrained("nowhere.json")


@pytest.mark.parametrize(
    "field",
    [{"threshold": 0.1}, {"max_tokens": 0.3}, {"beyond": 0.2}, {"statistics": "estimated"}, {"calibrated": 0.3}],
)
def test_what_a_namm_inside_would_ignore_is_refused(field):
    base = {"policy": "namm", "path": "namm-smollm2", **field}
    with pytest.raises(ConfigError, match=rf"mine\.base\.{next(iter(field))}: has no effect here"):
        build_policy({"policy": "by_head", "base": base, "shares": "smollm2-135m"}, "mine")


def test_a_configuration_without_shares_is_refused():
    with pytest.raises(ConfigError, match=r"policies.mine.shares: missing"):
        build_policy({"policy": "by_head"}, "policies.mine")
    with pytest.raises(ConfigError, match=r"policies.mine.shares: 3: expected a file"):
        build_policy({"policy": "by_head", "shares": 3}, "policies.mine")


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shares_that_ship_say_where_they_come_from(path):
    found = HeadShares.from_pretrained(path.stem)
    assert path.stem in found.source
    assert sum(weight for layer in found.weights for weight in layer) == pytest.approx(
        len(found.weights) * len(found.weights[0]), rel=1e-3
    )
    assert replace(found, source="") == found


def test_the_size_of_a_namm_that_only_ranks_is_not_shown():
    base = replace(Namm.from_pretrained("namm-universal"), max_tokens=0.25)
    shown = repr(ByHead(base=base, shares=EVEN, budget=0.12))
    assert shown.startswith(f"ByHead(budget=0.12, base=ranking of {base.features.name} -> {base.scorer.name}, shares=")
    assert "max_tokens" not in shown
    assert "threshold" not in shown
