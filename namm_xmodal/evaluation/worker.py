"""A model and the samples of an evaluation; turns a unit of work into records."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from namm_xmodal.config import EvalConfig, evaluation_digest
from namm_xmodal.config.building import at
from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.greedy import end_of_text
from namm_xmodal.evaluation.meaning import check_reading
from namm_xmodal.evaluation.plan import Plan, Run, Unit, make_plan
from namm_xmodal.evaluation.preflight import check_context, pruning_of, read_before_answer, tokens_to_generate
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.scoring import score_sample
from namm_xmodal.evaluation.versions import software_versions


class LanguageWorker:
    """Loads the model once; samples are made once per task and encoded once per sample, the same for all policies."""

    def __init__(self, config: EvalConfig, plan: Plan | None = None) -> None:
        """Loads what every unit needs.

        Args:
            config: The evaluation.
            plan: Its plan, made anew if absent.
        """
        import torch

        from namm_xmodal.language.models import load_language_model

        self.config = config
        self.plan = plan or make_plan(config)
        torch.set_num_threads(config.threads)
        self.language = load_language_model(config.model, dtype=config.dtype, device=config.device)
        self._tasks = {task.label: task for task in self.plan.tasks}
        self._samples: dict[str, list[Any]] = {}
        self._digest = evaluation_digest(config)
        self._versions = software_versions()
        self._ready: dict[str, Any] = {}
        language = self.language
        self._model: dict[str, Any] = {"name": language.name, "source": language.source, "dtype": language.dtype}
        if "generate" in config.scoring:
            self._model["end_of_text"] = end_of_text(language.model, language.tokenizer)

    def run(self, unit: Unit) -> Iterator[Record]:
        """All runs of a unit on its sample, in the order of the plan."""
        from namm_xmodal.language.prompt import encode

        sample = self._sample(unit.task, unit.sample)
        encoded = encode(sample, self.language.tokenizer)
        self._check(unit, encoded)
        for index in unit.runs:
            yield self._record(unit, self.plan.runs[index], sample, encoded)

    def _record(self, unit: Unit, run: Run, sample: Any, encoded: Any) -> Record:
        from namm_xmodal.evaluation.pruning import pruned_for

        policy = self._policy(run)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        before = time.process_time()
        config = self.config
        with pruned_for(config, self.language.model, policy, run.protocol) as memory:
            outcome = score_sample(
                memory,
                self.language.tokenizer,
                sample,
                encoded,
                scoring=config.scoring,
                generate_tokens=config.generate_tokens,
            )
        report = outcome.report
        return Record(
            task=unit.task,
            sample=unit.sample,
            policy=run.label,
            budget=run.budget,
            protocol=run.protocol,
            scores=outcome.scores,
            kept_fraction=report.kept_fraction,
            live_bytes=report.live_bytes,
            allocated_bytes=report.allocated_bytes,
            full_bytes=report.full_bytes,
            prompt_tokens=outcome.prompt_tokens,
            fingerprint=run.fingerprint,
            statistics="" if not hasattr(policy, "statistics") else policy.statistics.source,
            tags=dict(sample.tags),
            text=outcome.text,
            cpu_seconds=round(time.process_time() - before, 4),
            started=started,
            seed=config.seed,
            config=self._digest,
            model=self._model,
            versions=self._versions,
        )

    def _policy(self, run: Run) -> Any:
        """What prunes in a run; statistics are estimated, and thresholds found, once per policy."""
        if run.full:
            return None
        if run.fingerprint not in self._ready:
            policy, config = run.policy, self.config
            if run.estimated:
                from namm_xmodal.evaluation.estimated import with_estimated_statistics

                policy = with_estimated_statistics(policy, self.language, config.update_every)
            if run.calibrated is not None:
                from namm_xmodal.evaluation.estimated import calibrated

                policy = calibrated(
                    policy,
                    self.language,
                    run.calibrated,
                    update_every=config.update_every,
                    protect_first=config.protect_first,
                    protect_recent=config.protect_recent,
                )
            self._ready[run.fingerprint] = policy
        return self._ready[run.fingerprint]

    def _sample(self, label: str, index: int) -> Any:
        if label not in self._samples:
            planned = self._tasks[label]
            tokenizer = self.language.tokenizer
            try:
                made = planned.task.samples(planned.count, seed=self.config.seed, tokenizer=tokenizer)
            except NammError as error:
                raise at(f"tasks.{label}", error) from None
            self._samples[label] = made
        return self._samples[label][index]

    def _check(self, unit: Unit, encoded: Any) -> None:
        """What `check_evaluation` has found before, unless the tokenizer had to be fetched first."""
        where, config = f"tasks.{unit.task}: sample {unit.sample}", self.config
        check_context(where, encoded, tokens_to_generate(config), self.language.name, self.language.max_context)
        for run in (self.plan.runs[index] for index in unit.runs):
            if not run.full:
                reading = read_before_answer(where, encoded, at_end=run.protocol == "prompt_end")
                check_reading(f"policies.{run.label}", run.budget, reading, pruning_of(config, run))
