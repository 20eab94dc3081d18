"""All benchmarks by name."""

from collections.abc import Mapping

from namm_xmodal.plugins import Registry
from namm_xmodal.video.benchmarks.benchmark import Benchmark
from namm_xmodal.video.benchmarks.composed import ComposedVideos
from namm_xmodal.video.benchmarks.egoschema import EgoSchema
from namm_xmodal.video.benchmarks.generated import GeneratedVideos
from namm_xmodal.video.benchmarks.longvideobench import LongVideoBench
from namm_xmodal.video.benchmarks.mlvu import MLVU
from namm_xmodal.video.benchmarks.nextqa import NExTQA
from namm_xmodal.video.benchmarks.own import OwnQuestions
from namm_xmodal.video.benchmarks.videomme import VideoMME

BENCHMARKS: Mapping[str, type[Benchmark]] = Registry(
    "benchmarks",
    {
        "generated": GeneratedVideos,
        "composed": ComposedVideos,
        "longvideobench": LongVideoBench,
        "mlvu": MLVU,
        "videomme": VideoMME,
        "egoschema": EgoSchema,
        "nextqa": NExTQA,
        "own": OwnQuestions,
    },
)
