"""Prompts about videos, without answers: frames first, the question after them."""

from namm_xmodal.config.sources import VideoSource
from namm_xmodal.errors import ConfigError
from namm_xmodal.modalities.video.arms import build_benchmark
from namm_xmodal.modalities.video.fit import PlainPrompts
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.unlabelled.source import Inputs, UnlabelledInput
from namm_xmodal.video.models import load_video_model

_LAST = 0.5
"""The answer to the question begins after its last token."""


def video_inputs(source: VideoSource) -> Inputs:
    """The first question about each of some videos that no evaluation asks about.

    Raises:
        NammError: If the model or the benchmark cannot be loaded.
    """
    section = video_section(source)
    loaded = load_video_model(source.model, dtype=source.dtype, device=source.device)
    if not loaded.leaves_out_tokens:
        raise ConfigError(
            f"model: {source.model!r}: traces and agreement read LLaVA-NeXT-Video models; use one of them"
        )
    plain = PlainPrompts(loaded, build_benchmark(section), section, source.count)
    for number, prompt in enumerate(plain.prompts()):
        inputs = prompt.inputs()
        after = int(prompt.visual.nonzero()[-1, 0]) + 1  # the question's first token
        counted = after if source.question else 0
        yield UnlabelledInput(f"{number:04}", loaded.model, inputs, after, counted, _LAST)


def video_section(source: VideoSource) -> VideoSection:
    """The section of an evaluation with these videos."""
    return VideoSection(
        policies={"full": {"policy": "full"}},
        model=source.model,
        benchmark=source.benchmark,
        data=source.data,
        options=source.options,
        frames=source.frames,
        seed=source.seed,
        update_every=source.update_every,
    )
