"""Optional dependencies: which extra brings which module."""

from importlib import import_module
from typing import Any

from namm_xmodal.errors import MissingDependencyError

EXTRAS = {
    "av": "video",
    "PIL": "video",
    "pyarrow": "parquet",
    "timm": "video",
    "decord": "decord",
    "gymnasium": "rl",
    "mujoco": "rl",
    "minari": "rl",
    "h5py": "rl",
    "ray": "ray",
    "tensorboard": "tracking",
    "wandb": "tracking",
    "jieba": "benchmarks",
    "fugashi": "benchmarks",
    "unidic_lite": "benchmarks",
    "wonderwords": "ruler",
    "lm_eval": "lm-eval",
}
"""Module and extra; the extras are those of pyproject.toml."""


def need(module: str, feature: str) -> Any:
    """Imports a module of an optional dependency.

    Args:
        module: Its name, such as `av` or `pyarrow.parquet`.
        feature: What it is needed for, as the subject of a sentence.

    Raises:
        MissingDependencyError: If it, or something that it needs, is not installed.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingDependencyError(feature, EXTRAS[module.partition(".")[0]]) from None
