"""Configuration: YAML in, frozen pydantic models out; unknown keys are refused, and every error names its path."""

from namm_xmodal.config.describe import FieldHelp, describe
from namm_xmodal.config.evaluation import BootstrapConfig, EvaluationConfig, RunConfig, load_evaluation_config
from namm_xmodal.config.evolve import EvolveConfig, load_evolve_config
from namm_xmodal.config.loader import load_mapping, packaged_configs, resolve_config
from namm_xmodal.config.policies import build_policy
from namm_xmodal.config.save import to_yaml
from namm_xmodal.config.section import Section
from namm_xmodal.config.tasks import build_task

__all__ = [
    "BootstrapConfig",
    "EvaluationConfig",
    "EvolveConfig",
    "FieldHelp",
    "RunConfig",
    "Section",
    "build_policy",
    "build_task",
    "describe",
    "load_evaluation_config",
    "load_evolve_config",
    "load_mapping",
    "packaged_configs",
    "resolve_config",
    "to_yaml",
]
