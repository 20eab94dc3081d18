"""Short ways to load and run an evaluation in tests."""

from dataclasses import replace

from namm_xmodal.config import load_evaluation_config
from namm_xmodal.config.evaluation import evaluation_config
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.runner import evaluate
from namm_xmodal.modalities.table import MODALITIES

KINDS = {name: modality.section for name, modality in MODALITIES.items()}


def load(name, folder, *changes):
    """A shipped or own file, with changes."""
    return load_evaluation_config(name, KINDS, changes, None if folder is None else str(folder))


def make(**content):
    """A configuration from keys."""
    return evaluation_config(content, KINDS, "test.yaml")


def plan_of(config):
    """Its plan."""
    return make_plan(config, MODALITIES)


def run(config, **options):
    """Its records."""
    return evaluate(config, plan_of(config), **options)


def numbers(records):
    """Records without what differs from run to run."""
    return [replace(record, seconds={}, started="") for record in records]
