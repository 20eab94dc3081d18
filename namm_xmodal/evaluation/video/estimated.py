"""A NAMM with feature statistics of the video model: estimated from prompts of the benchmark, no label, no reward."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from namm_xmodal.config.video_qa import VideoQAConfig
from namm_xmodal.errors import ItemError
from namm_xmodal.evaluation.video.source import group_by_video, videos
from namm_xmodal.memory.statistics import estimate_statistics
from namm_xmodal.policies.namm import Namm
from namm_xmodal.video.benchmarks.made import MadeVideos
from namm_xmodal.video.models import VideoModel
from namm_xmodal.video.reductions import all_tokens
from namm_xmodal.video.tokens import embed_prompt
from namm_xmodal.video.vision import encode_video

VIDEOS = 16
OTHER_SEED = 500_000
"""Generated and composed videos for statistics come from another list than the questions."""


def with_estimated_statistics(policy: Namm, loaded: VideoModel, benchmark: Any, config: VideoQAConfig) -> Namm:
    """The same network, its features standardised by what they are on this model with a full cache.

    Args:
        policy: The policy.
        loaded: The model that it will prune.
        benchmark: Its questions are read without their answers; generated and composed ones come from other clips.
        config: Frames and clock.
    """
    source = f"estimated on {loaded.name}, {VIDEOS} videos of {config.benchmark}, update every {config.update_every}"
    return policy.with_statistics(
        estimate_statistics(
            loaded.model,
            _prompts(loaded, benchmark, config),
            policy.features,
            update_every=config.update_every,
            source=source,
        )
    )


def _prompts(loaded: VideoModel, benchmark: Any, config: VideoQAConfig) -> Iterator[dict[str, Any]]:
    if isinstance(benchmark, MadeVideos):
        benchmark = replace(benchmark, n=12 * VIDEOS, seed=benchmark.seed + OTHER_SEED)
    groups = group_by_video(list(enumerate(benchmark.questions())))
    given = 0
    for group, clip in zip(groups, videos(config, [group[0][1] for group in groups]), strict=True):
        if isinstance(clip, ItemError):
            continue
        visual = all_tokens(encode_video(loaded, clip.frames))
        try:
            prompt = embed_prompt(loaded, benchmark.prompt(group[0][1], clip.times), visual)
        except ItemError:
            continue
        yield {"inputs_embeds": prompt.embeddings, "position_ids": prompt.position_ids}
        given += 1
        if given == VIDEOS:
            return
