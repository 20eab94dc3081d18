"""namm-xmodal: evolve a small memory policy once, on language, and use it in any transformer.

Names are resolved on first use, so that `import namm_xmodal` imports neither torch nor transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from namm_xmodal.adapters.check import check_adapter as check_adapter
    from namm_xmodal.cache.fork import fork as fork
    from namm_xmodal.language.check import check_task as check_task
    from namm_xmodal.memory import Memory as Memory
    from namm_xmodal.memory import MemoryReport as MemoryReport
    from namm_xmodal.memory import pruned as pruned
    from namm_xmodal.memory.kvzip import kvzip as kvzip
    from namm_xmodal.policies.adakv import AdaKV as AdaKV
    from namm_xmodal.policies.budgeted import Budgeted as Budgeted
    from namm_xmodal.policies.by_head import ByHead as ByHead
    from namm_xmodal.policies.check import check_policy as check_policy
    from namm_xmodal.policies.chunkkv import ChunkKV as ChunkKV
    from namm_xmodal.policies.compactor import Compactor as Compactor
    from namm_xmodal.policies.criticalkv import CriticalKV as CriticalKV
    from namm_xmodal.policies.cur import CUR as CUR
    from namm_xmodal.policies.expected_attention import ExpectedAttention as ExpectedAttention
    from namm_xmodal.policies.fastv import FastV as FastV
    from namm_xmodal.policies.full import FullCache as FullCache
    from namm_xmodal.policies.geometry import Geometry as Geometry
    from namm_xmodal.policies.h2o import H2O as H2O
    from namm_xmodal.policies.h2o import H2ONormalised as H2ONormalised
    from namm_xmodal.policies.head_shares import HeadShares as HeadShares
    from namm_xmodal.policies.keydiff import KeyDiff as KeyDiff
    from namm_xmodal.policies.l2_norm import L2Norm as L2Norm
    from namm_xmodal.policies.lagkv import LagKV as LagKV
    from namm_xmodal.policies.namm import Namm as Namm
    from namm_xmodal.policies.protocol import ALL_ROWS as ALL_ROWS
    from namm_xmodal.policies.protocol import Observation as Observation
    from namm_xmodal.policies.protocol import Reads as Reads
    from namm_xmodal.policies.protocol import Tile as Tile
    from namm_xmodal.policies.pyramidkv import PyramidKV as PyramidKV
    from namm_xmodal.policies.random import RandomEviction as RandomEviction
    from namm_xmodal.policies.recency import Recency as Recency
    from namm_xmodal.policies.rkv import RKV as RKV
    from namm_xmodal.policies.simlayerkv import SimLayerKV as SimLayerKV
    from namm_xmodal.policies.snapkv import SnapKV as SnapKV
    from namm_xmodal.policies.state import State as State
    from namm_xmodal.policies.streaming_llm import StreamingLLM as StreamingLLM
    from namm_xmodal.policies.tova import TOVA as TOVA
    from namm_xmodal.types import LayerShape as LayerShape

_HOMES = {
    "ALL_ROWS": "policies.protocol",
    "AdaKV": "policies.adakv",
    "Budgeted": "policies.budgeted",
    "ByHead": "policies.by_head",
    "ChunkKV": "policies.chunkkv",
    "Compactor": "policies.compactor",
    "CriticalKV": "policies.criticalkv",
    "CUR": "policies.cur",
    "ExpectedAttention": "policies.expected_attention",
    "FastV": "policies.fastv",
    "FullCache": "policies.full",
    "Geometry": "policies.geometry",
    "H2O": "policies.h2o",
    "H2ONormalised": "policies.h2o",
    "HeadShares": "policies.head_shares",
    "KeyDiff": "policies.keydiff",
    "L2Norm": "policies.l2_norm",
    "LagKV": "policies.lagkv",
    "LayerShape": "types",
    "Memory": "memory",
    "MemoryReport": "memory",
    "Namm": "policies.namm",
    "Observation": "policies.protocol",
    "PyramidKV": "policies.pyramidkv",
    "RandomEviction": "policies.random",
    "Recency": "policies.recency",
    "Reads": "policies.protocol",
    "RKV": "policies.rkv",
    "SimLayerKV": "policies.simlayerkv",
    "SnapKV": "policies.snapkv",
    "State": "policies.state",
    "StreamingLLM": "policies.streaming_llm",
    "Tile": "policies.protocol",
    "TOVA": "policies.tova",
    "check_adapter": "adapters.check",
    "check_policy": "policies.check",
    "check_task": "language.check",
    "fork": "cache.fork",
    "kvzip": "memory.kvzip",
    "pruned": "memory",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Imports a public name from its home."""
    if name not in _HOMES:
        raise AttributeError(f"module 'namm_xmodal' has no attribute {name!r}")
    value = getattr(import_module(f"namm_xmodal.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
