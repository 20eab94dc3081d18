"""A pruned model as an evaluation's configuration wants it, the same for texts and for videos."""

from contextlib import AbstractContextManager
from typing import Any

from namm_xmodal.config import EvalConfig
from namm_xmodal.config.video_qa import VideoQAConfig
from namm_xmodal.memory import Memory, pruned


def pruned_for(
    config: EvalConfig | VideoQAConfig, model: Any, policy: Any, protocol: str
) -> AbstractContextManager[Memory]:
    """`pruned` with the clock, protection and attention of a configuration.

    Args:
        config: Of texts or of videos.
        model: Any supported model.
        policy: None for the full cache.
        protocol: `prompt_end`; any other name (`clock`, `none`, `before`) updates by the clock.

    Returns:
        The context in which the model forgets.
    """
    return pruned(
        model,
        policy,
        update_every=config.update_every,
        protocol="prompt_end" if protocol == "prompt_end" else "clock",
        protect_first=config.protect_first,
        protect_recent=config.protect_recent,
        selection=config.selection,
        attention=config.attention,
    )
