"""A model and a benchmark; turns the questions about one video into records."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from namm_xmodal.config.video_qa import VideoQAConfig, video_digest
from namm_xmodal.errors import ItemError
from namm_xmodal.evaluation.greedy import end_of_text
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.evaluation.record import Key, Record
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.evaluation.video.estimated import with_estimated_statistics
from namm_xmodal.evaluation.video.plan import VideoRun, cache_room, check_update
from namm_xmodal.evaluation.video.prefix import Prefix, read_prefix
from namm_xmodal.evaluation.video.scoring import Answer, answer
from namm_xmodal.evaluation.video.source import Numbered
from namm_xmodal.video.benchmarks.question import VideoQuestion
from namm_xmodal.video.clip import VideoClip
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.reductions import all_tokens
from namm_xmodal.video.rope import rope_factor, scaled_rope
from namm_xmodal.video.tokens import EmbeddedPrompt, embed_prompt
from namm_xmodal.video.vision import encode_video

SKIPPED = "skipped"


class VideoWorker:
    """Holds the model; every video is encoded once, for all its questions, policies and rivals."""

    def __init__(self, config: VideoQAConfig, benchmark: Any) -> None:
        """Loads the model."""
        torch.set_num_threads(config.threads)
        self.config, self.benchmark = config, benchmark
        self.loaded = load_video_model(config.model, dtype=config.dtype, device=config.device)
        self._digest, self._versions = video_digest(config), software_versions()
        self._model: dict[str, Any] = {
            "name": self.loaded.name,
            "source": self.loaded.source,
            "dtype": self.loaded.dtype,
        }
        if config.generate:
            self._model["end_of_text"] = end_of_text(self.loaded.model, self.loaded.tokenizer)
        self._estimated: dict[str, Any] = {}

    def records(self, clip: VideoClip | ItemError, work: list[tuple[Numbered, list[VideoRun]]]) -> Iterator[Record]:
        """All runs that are left on the questions about one video."""
        if isinstance(clip, ItemError):
            for (number, question), runs in work:
                for run in runs:
                    yield self._skipped(number, question, run, clip)
            return
        began = time.process_time()
        video = encode_video(self.loaded, clip.frames)
        vision = time.process_time() - began
        for run, asked in _by_run(work):
            began = time.process_time()
            visual = all_tokens(video)
            if run.reduction is not None:
                visual = run.reduction.reduce(self.loaded.model, video, run.budget)
            seconds = (vision, time.process_time() - began)
            prompts = []
            for number, question in asked:
                try:
                    prompt = embed_prompt(self.loaded, self.benchmark.prompt(question, clip.times), visual)
                    room = self._room(run, prompt)
                except ItemError as error:
                    yield self._skipped(number, question, run, ItemError(f"{question.id}: {error}"))
                else:
                    prompts.append((room, number, question, prompt))
            yield from self._answered(run, clip, prompts, seconds)

    def _answered(
        self,
        run: VideoRun,
        clip: VideoClip,
        sized: list[tuple[int | None, int, VideoQuestion, EmbeddedPrompt]],
        seconds: tuple[float, float],
    ) -> Iterator[Record]:
        """One policy on all questions about a video; those with equal room share what was read up to the last frame."""
        sized.sort(key=lambda each: (each[0] or 0, each[1]))
        held: tuple[Any, Prefix | None] = (None, None)
        for at, (room, number, question, prompt) in enumerate(sized):
            factor = self._rope_factor(prompt)
            policy = self._policy(run, room)
            with (
                scaled_rope(self.loaded.model, factor),
                pruned_for(self.config, self.loaded.model, policy, run.protocol) as memory,
            ):
                key = (room, factor)
                if held[0] != key or held[1] is None or not held[1].begins(prompt):
                    more = any(each[0] == room for each in sized[at + 1 :])
                    held = (key, read_prefix(memory, prompt) if more and run.protocol != "prompt_end" else None)
                limit = self.config.generate_tokens if self.config.generate else 0
                found = answer(memory, prompt, self.loaded.tokenizer, limit, held[1])
                statistics = getattr(getattr(policy, "statistics", None), "source", "")
            yield self._record(number, question, run, clip, prompt, found, (factor, statistics, *seconds))

    def _rope_factor(self, prompt: EmbeddedPrompt) -> int:
        text = int((~prompt.visual).sum())
        return rope_factor(self.loaded.model.config, prompt.full, text + self.config.generate_tokens)

    def _record(
        self,
        number: int,
        question: VideoQuestion,
        run: VideoRun,
        clip: VideoClip,
        prompt: EmbeddedPrompt,
        found: Answer,
        told: tuple[int, str, float, float],
    ) -> Record:
        """One answer; `told`: factor of the positions, statistics, seconds of tower and of dropping tokens."""
        factor, statistics, vision, reducing = told
        scores, verdict = self._judge(question, found)
        tags = {
            **self._tags(question, clip),
            **verdict,
            "status": "answered",
            "frames": len(clip.times),
            "sampler": clip.sampler,
            "notes": list(clip.notes),
            "rope_factor": factor,
            "visual_tokens": prompt.full,
            "read_visual": int(prompt.visual.sum()),
            "kept_visual": round(found.kept_visual, 3),
            "vision_seconds": round(vision, 4),
            "prefill_seconds": round(found.prefill_seconds + reducing, 4),
            "decode_seconds": round(found.decode_seconds, 4),
        }
        report = found.report
        return Record(
            scores=scores,
            kept_fraction=found.kept_visual / max(1, prompt.full),
            live_bytes=report.live_bytes,
            allocated_bytes=report.allocated_bytes,
            full_bytes=report.full_bytes,
            prompt_tokens=prompt.length,
            statistics=statistics,
            tags=tags,
            text=found.text,
            cpu_seconds=round(found.prefill_seconds + found.decode_seconds, 4),
            **self._common(number, run),
        )

    def _room(self, run: VideoRun, prompt: EmbeddedPrompt) -> int | None:
        """Tokens that the policy may keep; None where it decides itself or nothing is forgotten."""
        config = self.config
        if run.policy is None:
            return None
        every = config.update_every if run.protocol == "clock" else None
        if run.budget is None:
            check_update(prompt.length, every)
            return None
        visual = int(prompt.visual.sum())
        return cache_room(
            run.budget,
            full=prompt.full,
            visual=visual,
            text=prompt.length - visual,
            every=every,
            protected=config.protect_first + config.protect_recent,
        )

    def _policy(self, run: VideoRun, room: int | None) -> Any:
        if run.policy is None:
            return None
        policy = run.sized(room)
        if not run.estimated:
            return policy
        if run.fingerprint not in self._estimated:
            self._estimated[run.fingerprint] = with_estimated_statistics(
                run.policy, self.loaded, self.benchmark, self.config
            ).statistics
        return policy.with_statistics(self._estimated[run.fingerprint])

    def _judge(self, question: VideoQuestion, found: Answer) -> tuple[dict[str, float], dict[str, Any]]:
        """Scores and what was chosen."""
        values = np.array(found.scores(self.config.normalise))
        chosen = int(values.argmax())
        shares = np.exp(values - values.max())
        verdict: dict[str, Any] = {"chosen": chosen}
        scores: dict[str, float] = {}
        if question.answer is not None:
            scores["accuracy"] = float(chosen == question.answer)
            scores["answer_probability"] = float(shares[question.answer] / shares.sum())
        if self.config.generate:
            parsed = self.benchmark.parse(found.text, question)
            verdict |= {"parsed": parsed}
            if question.answer is not None:
                scores["generated_accuracy"] = float(parsed == question.answer)
        return scores, verdict

    def _skipped(self, number: int, question: VideoQuestion, run: VideoRun, error: ItemError) -> Record:
        scores: dict[str, float] = {}
        if self.config.strict and question.scored:
            scores = {"accuracy": 0.0, "answer_probability": 0.0}
            scores |= {"generated_accuracy": 0.0} if self.config.generate else {}
        tags = {**self._tags(question, None), "status": SKIPPED, "reason": str(error), "error": type(error).__name__}
        return Record(
            scores=scores,
            kept_fraction=0.0,
            live_bytes=0,
            allocated_bytes=0,
            full_bytes=0,
            prompt_tokens=0,
            tags=tags,
            cpu_seconds=0.0,
            **self._common(number, run),
        )

    def _common(self, number: int, run: VideoRun) -> dict[str, Any]:
        return {
            "task": self.config.benchmark,
            "sample": number,
            "policy": run.label,
            "budget": run.budget,
            "protocol": run.protocol,
            "fingerprint": run.fingerprint,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": self.config.seed,
            "config": self._digest,
            "model": self._model,
            "versions": self._versions,
        }

    def _tags(self, question: VideoQuestion, clip: VideoClip | None) -> dict[str, Any]:
        place = None
        if clip is not None and question.evidence and clip.total > 1:
            place = min(1.0, float(np.mean(question.evidence)) / (clip.total - 1))
        return {
            "id": question.id,
            "kind": question.kind,
            "duration": question.duration,
            "evidence": None if place is None else ("early", "middle", "late")[min(2, int(3 * place))],
            **{key: value for key, value in question.tags.items() if isinstance(value, str | int | float)},
        }


def _by_run(work: list[tuple[Numbered, list[VideoRun]]]) -> list[tuple[VideoRun, list[Numbered]]]:
    """The same work, by policy and size."""
    found: dict[Key, tuple[VideoRun, list[Numbered]]] = {}
    for asked, runs in work:
        for run in runs:
            found.setdefault(run.key("", 0), (run, []))[1].append(asked)
    return list(found.values())
