"""A pruned model as a section of an evaluation wants it."""

from contextlib import AbstractContextManager
from typing import Any

from namm_xmodal.config.section import Section
from namm_xmodal.memory import Memory, pruned


def pruned_for(section: Section, model: Any, policy: Any, schedule: str) -> AbstractContextManager[Memory]:
    """`pruned` with the clock, protection and attention of a section.

    Args:
        section: Of any modality.
        model: Any supported model.
        policy: None for the full cache.
        schedule: `post_prefill`; any other name (`streaming`, `none`, `before`) updates by the clock.

    Returns:
        The context in which the model is pruned.
    """
    return pruned(
        model,
        policy,
        update_every=section.update_every,
        schedule="post_prefill" if schedule == "post_prefill" else "streaming",
        protect_first=section.protect_first,
        protect_recent=section.protect_recent,
        selection=section.selection,
        attention=section.attention,
    )
