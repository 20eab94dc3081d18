"""Makes a pruned model with the settings of a section."""

from contextlib import AbstractContextManager
from typing import Any

from namm_xmodal.config.section import Section
from namm_xmodal.memory import Memory, pruned
from namm_xmodal.types import ONCE


def pruned_for(section: Section, model: Any, policy: Any, schedule: str) -> AbstractContextManager[Memory]:
    """`pruned` with the clock, protection and attention of a section.

    Args:
        section: Of any modality.
        model: Any supported model.
        policy: None for the full cache.
        schedule: `post_prefill`, or `post_context`, of which whoever reads the context takes a frozen copy before the
            question; any other name (`streaming`, `none`, `before`) updates by the clock.

    Returns:
        The context in which the model is pruned.
    """
    return pruned(
        model,
        policy,
        update_every=section.update_every,
        schedule="post_prefill" if schedule in ONCE else "streaming",
        protect_first=section.protect_first,
        protect_recent=section.protect_recent,
        selection=section.selection,
        attention=section.attention,
    )
