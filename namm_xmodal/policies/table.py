"""All policies by name, as configurations and the command line know them."""

from collections.abc import Mapping

from namm_xmodal.plugins import Registry
from namm_xmodal.policies.adakv import AdaKV
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.chunkkv import ChunkKV
from namm_xmodal.policies.compactor import Compactor
from namm_xmodal.policies.criticalkv import CriticalKV
from namm_xmodal.policies.cur import CUR
from namm_xmodal.policies.expected_attention import ExpectedAttention
from namm_xmodal.policies.fastv import FastV
from namm_xmodal.policies.full import FullCache
from namm_xmodal.policies.geometry import Geometry
from namm_xmodal.policies.h2o import H2O, H2ONormalised
from namm_xmodal.policies.keydiff import KeyDiff
from namm_xmodal.policies.l2_norm import L2Norm
from namm_xmodal.policies.lagkv import LagKV
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.pyramidkv import PyramidKV
from namm_xmodal.policies.random import RandomEviction
from namm_xmodal.policies.recency import Recency
from namm_xmodal.policies.rkv import RKV
from namm_xmodal.policies.simlayerkv import SimLayerKV
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.streaming_llm import StreamingLLM
from namm_xmodal.policies.tova import TOVA

POLICIES: Mapping[str, type] = Registry(
    "policies",
    {
        "full": FullCache,
        "recency": Recency,
        "streaming_llm": StreamingLLM,
        "random": RandomEviction,
        "l2_norm": L2Norm,
        "keydiff": KeyDiff,
        "geometry": Geometry,
        "cur": CUR,
        "lagkv": LagKV,
        "h2o": H2O,
        "h2o_normalised": H2ONormalised,
        "tova": TOVA,
        "snapkv": SnapKV,
        "rkv": RKV,
        "expected_attention": ExpectedAttention,
        "compactor": Compactor,
        "simlayerkv": SimLayerKV,
        "fastv": FastV,
        "chunkkv": ChunkKV,
        "criticalkv": CriticalKV,
        "adakv": AdaKV,
        "by_head": ByHead,
        "pyramidkv": PyramidKV,
        "namm": Namm,
    },
)
