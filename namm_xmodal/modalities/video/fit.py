"""Prompts of a video model, to which a NAMM is fitted: of the benchmark, without answers."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from namm_xmodal.errors import ItemError
from namm_xmodal.evaluation.fit import Inputs
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.modalities.video.source import videos
from namm_xmodal.video.benchmarks.made import MadeVideos
from namm_xmodal.video.models import VideoModel
from namm_xmodal.video.tokens import EmbeddedPrompt

VIDEOS = 16
OTHER_SEED = 500_000
"""Generated and composed videos for fitting come from another list than the questions."""


class PlainPrompts:
    """The first question about each of some videos."""

    def __init__(self, loaded: VideoModel, benchmark: Any, section: VideoSection, count: int = VIDEOS) -> None:
        """Decodes nothing yet."""
        self._loaded, self._benchmark, self._section, self._count = loaded, benchmark, section, count
        self.source = f"{loaded.name}, {count} videos of {section.benchmark}, update every {section.update_every}"

    def for_statistics(self) -> Sequence[Inputs]:
        """See `PlainInputs.for_statistics`."""
        return [each.inputs() for each in self.prompts()]

    def for_calibration(self) -> Sequence[Inputs]:
        """See `PlainInputs.for_calibration`."""
        return self.for_statistics()

    def prompts(self) -> Iterator[EmbeddedPrompt]:
        """One after another; videos and questions that are broken are left out."""
        benchmark = self._benchmark
        if isinstance(benchmark, MadeVideos):
            benchmark = replace(benchmark, n=12 * self._count, seed=benchmark.seed + OTHER_SEED)
        first: dict[object, Any] = {}
        for question in benchmark.questions():
            first.setdefault(question.id if question.video is None else question.video, question)
        clips = videos(self._section, list(first.values()))
        given = 0
        for question, clip in zip(first.values(), clips, strict=True):
            if isinstance(clip, ItemError):
                continue
            video = self._loaded.encode(clip.frames, clip.times)
            try:
                prompt = self._loaded.embed(benchmark.prompt(question, clip.times), video)
            except ItemError:
                continue
            yield prompt
            given += 1
            if given == self._count:
                return
