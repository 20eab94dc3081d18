"""A video model and a benchmark; turns the questions about one video after another into outcomes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from namm_xmodal.config.blame import blamed, named
from namm_xmodal.errors import ContractError, ItemError, PluginError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.fit import described, fitted
from namm_xmodal.evaluation.greedy import end_of_text
from namm_xmodal.evaluation.modality import Item, Kept, OnStatus, Outcome, Work
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.modalities.video.arms import build_benchmark, cache_room, check_update, with_room
from namm_xmodal.modalities.video.facts import VideoFacts
from namm_xmodal.modalities.video.fit import PlainPrompts
from namm_xmodal.modalities.video.prefix import Prefix, read_prefix, tokens_after_video
from namm_xmodal.modalities.video.preflight import check_prompts
from namm_xmodal.modalities.video.scoring import Answer, answer, evidence_place, judge
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.modalities.video.source import videos
from namm_xmodal.video.at_hand import at_hand
from namm_xmodal.video.clip import VideoClip
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.rope import scaled_rope
from namm_xmodal.video.tokens import EmbeddedPrompt

Prompts = list[tuple[int | None, Item, EmbeddedPrompt]]
"""Room in the cache, question, and its prompt."""


class VideoSession:
    """Holds the model; every video is encoded once, for all its questions and arms."""

    def __init__(self, section: VideoSection) -> None:
        """Loads the model."""
        self.section, self.benchmark = section, build_benchmark(section)
        self.loaded = load_video_model(section.model, dtype=section.dtype, device=section.device)
        loaded = self.loaded
        self._model: dict[str, Any] = {"name": loaded.name, "source": loaded.source, "dtype": loaded.dtype}
        if section.generate:
            self._model["end_of_text"] = end_of_text(loaded.model, loaded.tokenizer)
        self._fitted: dict[str, Any] = {}

    def run(self, work: Sequence[Work], on_status: OnStatus) -> Iterator[Outcome]:
        """See `Session.run`: decoders work ahead on the videos of later pieces."""
        self._check(work)
        first = [each.items[0].content for each in work]
        for each, clip in zip(work, videos(self.section, first), strict=True):
            if isinstance(clip, ItemError):
                for item, arms in zip(each.items, each.arms, strict=True):
                    yield from (self._skipped(item, arm, clip) for arm in arms)
            else:
                yield from self._about(clip, each)

    def _check(self, work: Sequence[Work]) -> None:
        """What `check_videos` has found before, unless the processor had to be fetched first."""
        arms = {arm.key: arm for each in work for arms in each.arms for arm in arms}
        questions = [item.content for each in work for item in each.items]
        check_prompts(self.section, list(arms.values()), self.benchmark, questions, at_hand(self.loaded))

    def _about(self, clip: VideoClip, work: Work) -> Iterator[Outcome]:
        """All that is left on the questions about one video."""
        began = time.process_time()
        video = self.loaded.encode(clip.frames, clip.times)
        vision = time.process_time() - began
        for arm, items in work.by_arm():
            began = time.process_time()
            seen = video if arm.baseline is None else arm.baseline.reduce(self.loaded.model, video, arm.budget)
            seconds = {"vision": vision, "reduction": time.process_time() - began}
            prompts = []
            for item in items:
                try:
                    with blamed(f"benchmark {self.section.benchmark}", self.benchmark):
                        prompt = self.loaded.embed(self.benchmark.prompt(item.content, clip.times), seen)
                    room = self.room(arm, prompt)
                except ItemError as error:
                    yield self._skipped(item, arm, ItemError(f"{item.content.id}: {error}"))
                except PluginError as error:
                    yield Outcome.failed(item, arm, error, VideoFacts(), self._model)
                else:
                    prompts.append((room, item, prompt))
            yield from self._answered(arm, clip, prompts, seconds)

    def _answered(self, arm: Arm, clip: VideoClip, prompts: Prompts, seconds: dict[str, float]) -> Iterator[Outcome]:
        """One arm on all questions about a video; those with equal room share what was read up to the last frame."""
        sized = sorted(prompts, key=lambda each: (each[0] or 0, each[1].number))
        held: tuple[Any, Prefix | None] = (None, None)
        for at, (room, item, prompt) in enumerate(sized):
            factor = self.rope_factor(prompt)
            try:
                with named(f"policies.{arm.label}", arm.policy):
                    policy = with_room(self.policy(arm), room, prompt.visual)
                    with (
                        scaled_rope(self.loaded.model, factor),
                        pruned_for(self.section, self.loaded.model, policy, arm.schedule) as memory,
                    ):
                        key = (room, factor)
                        if held[0] != key or held[1] is None or not held[1].begins(prompt):
                            # Also for a single question: read in one piece, its last bits would tell whether others
                            # were left.
                            frozen = arm.schedule == "post_context"
                            again = arm.schedule == "post_prefill"
                            held = (key, None if again else read_prefix(memory, prompt, frozen=frozen))
                        shared = any(each[0] == room for each in sized[at + 1 :])
                        prefix = None if held[1] is None else replace(held[1], shared=shared)
                        limit = self.section.generate_tokens if self.section.generate else 0
                        found = answer(memory, prompt, self.loaded.tokenizer, limit, prefix)
                outcome = self._outcome(item, arm, clip, prompt, found, seconds, (factor, described(policy)))
            except (PluginError, ContractError) as error:
                outcome = Outcome.failed(item, arm, error, VideoFacts(), self._model)
            yield outcome

    def _outcome(
        self,
        item: Item,
        arm: Arm,
        clip: VideoClip,
        prompt: EmbeddedPrompt,
        found: Answer,
        seconds: dict[str, float],
        how: tuple[int, str],
    ) -> Outcome:
        """One answer; `how`: factor of the positions, where the policy's statistics come from."""
        with blamed(f"benchmark {self.section.benchmark}", self.benchmark):
            parsed = self.benchmark.parse(found.text, item.content) if self.section.generate else None
        scores, chosen = judge(item.content, found, self.section.normalise, self.section.generate, parsed)
        facts = VideoFacts(
            chosen=chosen,
            parsed=parsed,
            generated=self.section.generate,
            prompt_tokens=prompt.length,
            frames=len(clip.times),
            sampler=clip.sampler,
            notes=tuple(clip.notes),
            rope_factor=how[0],
            visual_tokens=prompt.full,
            read_visual=int(prompt.visual.sum()),
        )
        kept = Kept.of(found.report, found.kept_visual / max(1, prompt.full), found.kept_visual)
        parts = {**seconds, "prefill": found.prefill_seconds, "decode": found.decode_seconds}
        item = evidence_place(item, clip.total)
        return Outcome(item, arm, scores, kept, parts, facts, self._model, fit=how[1], text=found.text)

    def _skipped(self, item: Item, arm: Arm, error: ItemError) -> Outcome:
        scores: dict[str, float] = {}
        if self.section.strict and item.content.scored:
            scores = {"accuracy": 0.0, "answer_probability": 0.0}
            scores |= {"generated_accuracy": 0.0} if self.section.generate else {}
        return Outcome(item, arm, scores, Kept(), {}, VideoFacts(), self._model, "skipped", str(error))

    def room(self, arm: Arm, prompt: EmbeddedPrompt) -> int | None:
        """Tokens that the policy may keep; None where it decides itself or nothing is evicted."""
        section = self.section
        if arm.policy is None:
            return None
        every = section.update_every if arm.schedule == "streaming" else None
        asked = tokens_after_video(prompt) if arm.schedule == "post_context" else 0
        if arm.schedule == "post_context" and not asked:
            raise ItemError(
                "its prompt has no text after its frames, so post_context would prune with the question known"
            )
        if arm.budget is None:
            check_update(prompt.length, every)
            return None
        visual = int(prompt.visual.sum())
        return cache_room(
            arm.budget,
            full=prompt.full,
            visual=visual,
            text=prompt.length - visual,
            every=every,
            protected=section.protect_first + section.protect_recent,
            asked=asked,
        )

    def rope_factor(self, prompt: EmbeddedPrompt) -> int:
        """By which positions are stretched so that the prompt fits."""
        return self.loaded.rope_factor(prompt, self.section.generate_tokens)

    def policy(self, arm: Arm) -> Any:
        """What prunes, before it is given room; None for the full cache. A NAMM is fitted once."""
        if arm.policy is None:
            return None
        if arm.fingerprint not in self._fitted:
            plain = PlainPrompts(self.loaded, self.benchmark, self.section)
            self._fitted[arm.fingerprint] = fitted(arm, self.loaded.model, plain, self.section)
        return self._fitted[arm.fingerprint]
