"""`check_policy` holds for every policy of the table, and notices every kind of broken one."""

from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import pytest
import torch

from namm_xmodal.errors import BudgetError, ClockError, ContractError
from namm_xmodal.policies.adakv import AdaKV
from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.check import check_policy
from namm_xmodal.policies.chunkkv import ChunkKV
from namm_xmodal.policies.compactor import Compactor
from namm_xmodal.policies.criticalkv import CriticalKV
from namm_xmodal.policies.cur import CUR
from namm_xmodal.policies.expected_attention import ExpectedAttention
from namm_xmodal.policies.fastv import FastV
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.h2o import H2O
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.l2_norm import L2Norm
from namm_xmodal.policies.lagkv import LagKV
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.protocol import ALL_ROWS, Reads
from namm_xmodal.policies.pyramidkv import PyramidKV
from namm_xmodal.policies.random import RandomEviction
from namm_xmodal.policies.recency import Recency
from namm_xmodal.policies.rkv import RKV
from namm_xmodal.policies.selection import keep_best
from namm_xmodal.policies.simlayerkv import SimLayerKV
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.streaming_llm import StreamingLLM
from namm_xmodal.policies.table import POLICIES
from namm_xmodal.policies.tova import TOVA
from namm_xmodal.types import LayerShape

DIVIDED = HeadShares.of(torch.tensor([[2.0, 0.1], [0.5, 0.5], [1.0, 2.0]]), "a test")
VARIANTS = {
    "tokens": Recency(budget=24),
    "one token": Recency(budget=5),
    "everything": KeyDiff(budget=1.0),
    "more than there is": KeyDiff(budget=10_000),
    "no sinks": StreamingLLM(num_sinks=0, budget=0.25),
    "skipped layers": L2Norm(skip_layers=(0, 2)),
    "ada skipped layers": AdaKV(base=L2Norm(skip_layers=(0, 2))),
    "pyramid skipped layers": PyramidKV(base=L2Norm(skip_layers=(1,))),
    "heavy only": H2O(recent_fraction=0.0, budget=12),
    "wide window": SnapKV(window=50, kernel=7),
    "small window": SnapKV(window=1, kernel=1, budget=8),
    "no covariance": ExpectedAttention(use_covariance=False, use_value_norm=False, n_queries=8, budget=20),
    "eps": ExpectedAttention(eps=0.02, n_sink=0, n_future=3),
    "ada recency": AdaKV(base=Recency(), alpha=0.0),
    "ada random": AdaKV(base=RandomEviction(), budget=0.25),
    "ada keydiff": AdaKV(base=KeyDiff(), budget=10),
    "ada geometry": AdaKV(base=Geometry(), budget=12),
    "ada tova": AdaKV(base=TOVA(), budget=0.3),
    "ada h2o": AdaKV(base=H2O(), alpha=0.9),
    "ada expected": AdaKV(base=ExpectedAttention(eps=0.02), budget=0.4),
    "pyramid recency": PyramidKV(base=Recency()),
    "pyramid h2o": PyramidKV(base=H2O(), budget=30, beta=2),
    "short lags": LagKV(lag=8, budget=0.6),
    "short lags, tokens": LagKV(lag=4, num_sinks=0, budget=20),
    "many neighbours": CUR(neighbours=50, budget=0.3),
    "redundancy only": RKV(mix=0.0, window=4, budget=12),
    "small chunks attend": Compactor(chunk=16, blending=0.35, budget=20),
    "half lazy": SimLayerKV(threshold=0.5, queries=4, recent=8),
    "chunks of critical": ChunkKV(base=CriticalKV(base=SnapKV(window=4)), chunk=4, budget=20),
    "chunks by keys": ChunkKV(base=KeyDiff(), chunk=7, budget=0.3),
    "ada critical": AdaKV(base=CriticalKV(base=SnapKV(window=8)), budget=0.3),
    "critical h2o": CriticalKV(base=H2O(), budget=20, first_stage=0.2),
    "critical tova": CriticalKV(base=TOVA(), eps=0.0),
    "by head": ByHead(shares=DIVIDED),
    "by head h2o": ByHead(base=H2O(), shares=DIVIDED, budget=20),
    "by head snap": ByHead(base=SnapKV(window=8), shares=DIVIDED, budget=0.3),
    "by head namm": ByHead(base=Namm.untrained("random"), shares=DIVIDED, budget=24),
    "fast after one layer": FastV(layer=1, budget=20, always=((3, 9), (30, 34))),
    "pyramid ada snap": PyramidKV(base=AdaKV(base=SnapKV(window=8)), budget=0.4),
}


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "by_head"])  # its shares are of one model
def test_the_table_holds(name):
    cls = POLICIES[name]
    check_policy(cls.untrained("random") if name == "namm" else cls())


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_hold(name):
    check_policy(VARIANTS[name])


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "name", ["h2o_normalised", "tova", "snapkv", "expected_attention", "adakv", "pyramidkv", "namm"]
)
def test_other_shapes_hold(name, seed):
    shape = LayerShape(layer=0, num_layers=2, num_attention_heads=6, num_key_value_heads=3, head_dim=16)
    cls = POLICIES[name]
    policy = cls.untrained("random", seed=seed, max_tokens=20) if name == "namm" else cls(budget=0.4)
    check_policy(policy, shape=shape, update_every=48, protect_first=0, protect_recent=1, seed=seed)


def test_settings_that_a_policy_refuses_are_passed_on():
    with pytest.raises(BudgetError, match="protect_first"):
        check_policy(Recency(budget=4))
    with pytest.raises(ClockError, match="update_every=20"):
        check_policy(POLICIES["namm"].untrained(), update_every=20)


# ------------------------------------------------------------------ broken on purpose, one clause each
@dataclass(frozen=True, kw_only=True)
class WithList(Recency):
    layers: list = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class OneScorePerRow(Recency):
    def score(self, observation):
        return observation.positions[:, :1].float()


@dataclass(frozen=True, kw_only=True)
class IntegerScores(Recency):
    def score(self, observation):
        return observation.positions


@dataclass(frozen=True, kw_only=True)
class NanScores(Recency):
    def score(self, observation):
        return observation.positions.float().masked_fill(observation.positions % 7 == 3, float("nan"))


@dataclass(frozen=True, kw_only=True)
class FloatChoice(Recency):
    def keep(self, scores, candidates):
        return candidates.live.float()


@dataclass(frozen=True, kw_only=True)
class ForgetsProtected(Recency):
    def keep(self, scores, candidates):
        return super().keep(scores, candidates) & (scores >= 1)


@dataclass(frozen=True, kw_only=True)
class KeepsTheDead(Recency):
    budget: float = 1.0

    def keep(self, scores, candidates):
        return torch.ones_like(candidates.live)


@dataclass(frozen=True, kw_only=True)
class ChoosesByTheDead(Recency):
    def keep(self, scores, candidates):
        return (scores >= scores.amax(-1, keepdim=True) - 9) & candidates.live | candidates.protected


@dataclass(frozen=True, kw_only=True)
class EvictsInSecret(Recency):
    def may_evict(self, seen, shape):
        return False

    def keep(self, scores, candidates):
        return keep_best(scores, candidates, 9)


@dataclass(frozen=True, kw_only=True)
class Spendthrift(Recency):
    def keep(self, scores, candidates):
        return candidates.live


@dataclass(frozen=True, kw_only=True)
class Dice(Recency):
    def score(self, observation):
        return torch.rand(observation.positions.shape)


@dataclass(frozen=True, kw_only=True)
class Watching(Recency):
    """Base of those that observe: a number for each token."""

    rows: int = ALL_ROWS

    @property
    def reads(self):
        return Reads(rows=self.rows)

    def start(self, state, shape):
        state.add_token_buffer("sum", 1)

    def score(self, observation):
        return observation.state.token("sum")[:, :, 0].masked_fill(~observation.live, 0.0)

    def observe(self, state, tile):
        state.token("sum")[:, :, 0, : tile.rows.shape[-1]] += tile.rows.sum(2)


@dataclass(frozen=True, kw_only=True)
class CountsTiles(Watching):
    def observe(self, state, tile):
        state.token("sum")[:, :, 0, : tile.rows.shape[-1]] += tile.rows.amax(2)


@dataclass(frozen=True, kw_only=True)
class BelievesItSeesFewRows(Watching):
    rows: int = 4


@dataclass(frozen=True, kw_only=True)
class StaleMean(Recency):
    def score(self, observation):
        return -(observation.keys - observation.keys.mean(2, keepdim=True)).norm(dim=-1)


@dataclass(frozen=True, kw_only=True)
class RemembersSlots(Watching):
    def start(self, state, shape):
        state.add_row_buffer("sum", shape.num_key_value_heads, 500)

    def observe(self, state, tile):
        state.row("sum")[..., : tile.rows.shape[-1]] += tile.rows.sum(2)

    def score(self, observation):
        scores = observation.state.row("sum")[..., : observation.positions.shape[-1]]
        return scores.masked_fill(~observation.live, 0.0)


@dataclass(frozen=True, kw_only=True)
class LooksAtBatchMates(Recency):
    def score(self, observation):
        positions = observation.positions.float()
        return positions + positions.amax(dim=(0, 1, 2)) + observation.live.sum((0, 1, 2)) / 100


QUERIES: WeakKeyDictionary = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class RemembersElsewhere(Recency):
    @property
    def reads(self):
        return Reads(queries=1)

    def observe(self, state, tile):
        QUERIES[state] = QUERIES.get(state, 0) + tile.queries[:, ::2, -1]

    def score(self, observation):
        return (observation.keys.float() * QUERIES[observation.state][:, :, None]).sum(-1)


@dataclass(frozen=True, kw_only=True)
class Standardises(Recency):
    def score(self, observation):
        live, positions = observation.live, observation.positions.float()
        count = live.sum(-1, keepdim=True)
        centred = (positions - (positions * live).sum(-1, keepdim=True) / count) * live
        return centred / (centred.square().sum(-1, keepdim=True) / (count - 1)).sqrt()


@dataclass(frozen=True, kw_only=True, eq=False)
class TakesNotes(Recency):
    notes: dict = field(default_factory=dict)

    def score(self, observation):
        self.notes[len(self.notes)] = observation.seen
        return super().score(observation)


BROKEN = [
    (object(), "methods"),
    (WithList(), "immutable"),
    (OneScorePerRow(), "scores"),
    (IntegerScores(), "scores"),
    (NanScores(), "scores"),
    (FloatChoice(), "keep"),
    (ForgetsProtected(), "keeps protected tokens"),
    (KeepsTheDead(), "keeps no dead slot"),
    (ChoosesByTheDead(), "keeps no dead slot"),
    (EvictsInSecret(), "may_evict"),
    (Spendthrift(), "budget"),
    (Dice(), "deterministic"),
    (CountsTiles(), "tiling"),
    (BelievesItSeesFewRows(), "more rows than asked for"),
    (StaleMean(), "dead slots"),
    (RemembersSlots(), "moves with its tokens"),
    (LooksAtBatchMates(), "batch-mates"),
    (RemembersElsewhere(), "reorders with its rows"),
    (Standardises(), "one live token"),
    (TakesNotes(), "stateless"),
]


@pytest.mark.parametrize(("policy", "clause"), BROKEN, ids=[type(policy).__name__ for policy, _ in BROKEN])
def test_a_broken_policy_is_caught(policy, clause):
    with pytest.raises(ContractError, match=f"^{type(policy).__name__} breaks the clause '{clause}': .+") as caught:
        check_policy(policy)
    assert "\n" not in str(caught.value)


def test_a_policy_that_can_be_changed_is_caught():
    @dataclass(unsafe_hash=True)
    class Open:
        budget: float = 0.5
        reads, start, observe = Reads(), Budgeted.start, Budgeted.observe
        keep, may_evict, check_clock, score = Budgeted.keep, Budgeted.may_evict, Budgeted.check_clock, Recency.score

    with pytest.raises(ContractError, match="make it a frozen dataclass"):
        check_policy(Open())
