"""The modality `video`."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from namm_xmodal.config.save import GENERATED_TEXT
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit
from namm_xmodal.evaluation.modality import Item, Metric, Modality, Session
from namm_xmodal.evaluation.record import Record
from namm_xmodal.modalities.video.facts import VideoFacts
from namm_xmodal.modalities.video.section import VideoSection


class Video(Modality):
    """Questions about videos, at equal numbers of kept visual tokens."""

    name = "video"
    section = VideoSection
    facts = VideoFacts
    named_by_records = frozenset({"limit", "reductions"})
    not_compared = frozenset({"id"})

    def items(self, section: VideoSection) -> Sequence[Item]:
        """Questions, those about one video together, videos in the order of their first question."""
        from namm_xmodal.modalities.video.arms import build_benchmark

        groups: dict[object, list[Item]] = {}
        asked = build_benchmark(section).questions()[: section.limit]
        for number, question in enumerate(asked):
            video = question.id if question.video is None or question.problem else question.video
            tags = {key: value for key, value in question.tags.items() if isinstance(value, str | int | float)}
            groups.setdefault(video, []).append(
                Item(
                    id=f"{section.benchmark}/{number}",
                    task=section.benchmark,
                    number=number,
                    group=f"{section.benchmark}/{groups[video][0].number if groups.get(video) else number}",
                    stratum=question.kind,
                    tags={"id": question.id, "kind": question.kind, "duration": question.duration, **tags},
                    content=question,
                )
            )
        return [item for group in groups.values() for item in group]

    def arms(self, section: VideoSection) -> Sequence[Arm]:
        """See `Modality.arms`."""
        from namm_xmodal.modalities.video.arms import video_arms

        return video_arms(section)

    def open(self, section: VideoSection) -> Session:
        """See `Modality.open`."""
        from namm_xmodal.modalities.video.session import VideoSession

        return VideoSession(section)

    def settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Results do not depend on decoder processes and caches, nor on how many clips are generated."""
        loader = {key: settings["loader"][key] for key in ("backend", "max_side", "salvage")}
        options = {key: value for key, value in settings["options"].items() if key != "n"}
        found = {**settings, "loader": loader, "options": options}
        return found | ({"generated_text": GENERATED_TEXT} if settings["generate"] else {})

    def exhibits(self, section: VideoSection, arms: Sequence[Arm]) -> Sequence[Exhibit]:
        """See `Modality.exhibits`."""
        from namm_xmodal.modalities.video.exhibits import frame_exhibits

        return frame_exhibits(section, arms)

    def files(self, section: VideoSection, records: Sequence[Record]) -> Mapping[str, str]:
        """Label and size -> question -> letter; what benchmarks with secret answers want to be sent."""
        from namm_xmodal.video.benchmarks.answers import LETTERS

        found: dict[str, dict[str, str | None]] = {}
        for record in records:
            chosen = record.facts.chosen
            letter = None if chosen is None else LETTERS[chosen]
            found.setdefault(f"{record.policy} {record.size}", {})[record.tags["id"]] = letter
        return {"predictions.json": json.dumps(found, indent=1) + "\n"}

    def check(
        self, section: VideoSection, items: Sequence[Item], arms: Sequence[Arm], notice: Callable[[str], None]
    ) -> None:
        """See `Modality.check`: counts the tokens of every prompt."""
        from namm_xmodal.modalities.video.arms import build_benchmark
        from namm_xmodal.modalities.video.preflight import check_videos

        check_videos(section, arms, build_benchmark(section), [item.content for item in items], notice)

    def versions(self) -> Mapping[str, str]:
        """Of the decoder."""
        from namm_xmodal.evaluation.versions import installed

        return installed("av")

    def scores(self, section: VideoSection, facts: VideoFacts, scores: Mapping[str, float]) -> Mapping[str, float]:
        """Beside the plain accuracies what the benchmark's official score is made of.

        That is the mean over types of questions, or generated answers without those that name no option.
        """
        from namm_xmodal.modalities.video.arms import build_benchmark

        benchmark, found = build_benchmark(section), dict(scores)
        if "accuracy" in scores and benchmark.macro:
            found["macro_accuracy"] = scores["accuracy"]
        if "generated_accuracy" in scores and facts.generated:
            found["unparsed"] = float(facts.parsed is None)
            if benchmark.without_unparsed and facts.parsed is not None:
                found["parsed_accuracy"] = scores["generated_accuracy"]
        return found

    def metrics(self, section: VideoSection, task: str, names: Sequence[str]) -> Sequence[Metric]:
        """Questions about one video are not independent, so videos are resampled."""
        return [
            Metric(
                name,
                higher_is_better=name != "unparsed",
                estimator="macro" if name == "macro_accuracy" else "mean",
                clustered=True,
                stratified=name == "macro_accuracy",
                headline=name != "answer_probability",
                partial=name in ("unparsed", "parsed_accuracy"),
            )
            for name in names
        ]
