"""Describes where the weights of a NAMM come from and how it is fitted."""

from collections.abc import Mapping
from typing import Any

from namm_xmodal.evaluation.arm import Arm


def origin_in_words(arm: Arm, spec: object) -> str:
    """`trained with smollm2-135m, used as saved`; empty for what is no NAMM.

    Args:
        arm: The arm.
        spec: Its entry in `policies`.
    """
    if arm.namm is None:
        return ""
    if isinstance(spec, Mapping) and "init" in spec:
        return f"untrained, {spec['init']} weights"
    fitted = f"fitted here: {arm.fit.words}" if arm.fit.words else "used as saved"
    return f"{_training(arm.namm.metadata)}, {fitted}"


def _training(metadata: Mapping[str, Any]) -> str:
    """Both commands that train name the models; so does a policy that went through both."""
    if "by_hand" in metadata:
        return "weights set by hand"
    for found in (metadata.get("last_stage_trained_on"), metadata.get("trained_on"), metadata):
        models = found.get("models") if isinstance(found, Mapping) else None
        if isinstance(models, list) and models:
            return f"trained with {', '.join(map(str, models))}"
    if "imported_from" in metadata:
        return f"imported from {metadata['imported_from']}"
    return "trained" if "made_by" in metadata else "of unknown training"
