"""A model and a benchmark; turns the questions about one video into records."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch

from namm_xmodal.config.video_qa import VideoQAConfig, video_digest
from namm_xmodal.errors import VideoError
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.evaluation.video.estimated import with_estimated_statistics
from namm_xmodal.evaluation.video.plan import VideoRun, cache_room
from namm_xmodal.evaluation.video.scoring import Answer, answer
from namm_xmodal.evaluation.video.source import Numbered
from namm_xmodal.memory import pruned
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
        self._model = {"name": self.loaded.name, "source": self.loaded.source, "dtype": self.loaded.dtype}
        self._estimated: dict[str, Any] = {}

    def records(self, clip: VideoClip | VideoError, work: list[tuple[Numbered, list[VideoRun]]]) -> Iterator[Record]:
        """All runs that are left on the questions about one video."""
        if isinstance(clip, VideoError):
            for (number, question), runs in work:
                for run in runs:
                    yield self._skipped(number, question, run, clip)
            return
        began = time.process_time()
        video = encode_video(self.loaded, clip.frames)
        vision = time.process_time() - began
        for (number, question), runs in work:
            asked = self.benchmark.prompt(question, clip.times)
            whole = embed_prompt(self.loaded, asked, all_tokens(video))
            for run in runs:
                began = time.process_time()
                prompt = whole
                if run.reduction is not None:
                    prompt = embed_prompt(
                        self.loaded, asked, run.reduction.reduce(self.loaded.model, video, run.budget)
                    )
                reducing = time.process_time() - began
                yield self._record(number, question, run, clip, prompt, (vision, reducing))

    def _record(
        self,
        number: int,
        question: VideoQuestion,
        run: VideoRun,
        clip: VideoClip,
        prompt: EmbeddedPrompt,
        seconds: tuple[float, float],
    ) -> Record:
        """One policy on one question; `seconds` went into the vision tower and into dropping tokens."""
        config, (vision, reducing) = self.config, seconds
        factor = rope_factor(
            self.loaded.model.config, prompt.full, int((~prompt.visual).sum()) + config.generate_tokens
        )
        policy = self._policy(run, prompt)
        with (
            scaled_rope(self.loaded.model, factor),
            pruned(
                self.loaded.model,
                policy,
                update_every=config.update_every,
                protocol="prompt_end" if run.protocol == "prompt_end" else "clock",
                protect_first=config.protect_first,
                protect_recent=config.protect_recent,
                selection=config.selection,
                attention=config.attention,
            ) as memory,
        ):
            found = answer(memory, prompt, self.loaded.tokenizer, config.generate_tokens if config.generate else 0)
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
            statistics="" if not hasattr(policy, "statistics") else policy.statistics.source,
            tags=tags,
            text=found.text,
            cpu_seconds=round(found.prefill_seconds + found.decode_seconds, 4),
            **self._common(number, run),
        )

    def _policy(self, run: VideoRun, prompt: EmbeddedPrompt) -> Any:
        if run.policy is None:
            return None
        config = self.config
        tokens = None
        if run.budget is not None:
            visual = int(prompt.visual.sum())
            tokens = cache_room(
                run.budget,
                full=prompt.full,
                visual=visual,
                text=prompt.length - visual,
                every=config.update_every if run.protocol == "clock" else None,
                protected=config.protect_first + config.protect_recent,
            )
        policy = run.sized(tokens)
        if not run.estimated:
            return policy
        if run.fingerprint not in self._estimated:
            self._estimated[run.fingerprint] = with_estimated_statistics(
                run.policy, self.loaded, self.benchmark, config
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

    def _skipped(self, number: int, question: VideoQuestion, run: VideoRun, error: VideoError) -> Record:
        scores: dict[str, float] = {}
        if self.config.strict and question.answer is not None:
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
