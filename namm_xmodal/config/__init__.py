"""Typed, closed, printed configuration: YAML in, frozen pydantic models out, every mistake named with its path."""

from namm_xmodal.config.describe import FieldHelp, describe
from namm_xmodal.config.evaluation import BootstrapConfig, EvalConfig, load_eval_config
from namm_xmodal.config.evolve import EvolveConfig, load_evolve_config
from namm_xmodal.config.loader import load_mapping, packaged_configs, resolve_config
from namm_xmodal.config.policies import build_policy
from namm_xmodal.config.rollout import RolloutConfig, load_rollout_config
from namm_xmodal.config.save import config_digest, evaluation_digest, rollout_digest, to_yaml
from namm_xmodal.config.tasks import build_task

__all__ = [
    "BootstrapConfig",
    "EvalConfig",
    "EvolveConfig",
    "FieldHelp",
    "RolloutConfig",
    "build_policy",
    "build_task",
    "config_digest",
    "describe",
    "evaluation_digest",
    "load_eval_config",
    "load_evolve_config",
    "load_mapping",
    "load_rollout_config",
    "packaged_configs",
    "resolve_config",
    "rollout_digest",
    "to_yaml",
]
