"""A language model and the samples of its tasks; turns them into outcomes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from namm_xmodal.config.blame import named
from namm_xmodal.errors import ContractError, ItemError, NammError, PluginError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.greedy import end_of_text
from namm_xmodal.evaluation.meaning import check_reading
from namm_xmodal.evaluation.modality import Item, Kept, OnStatus, Outcome, Work
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.language.suites.task import SuiteTask
from namm_xmodal.modalities.language.facts import LanguageFacts
from namm_xmodal.modalities.language.groups import first_of_each
from namm_xmodal.modalities.language.preflight import (
    check_context,
    check_length,
    check_scoring,
    pruning_of,
    read_before_pruning,
    tokens_after,
)
from namm_xmodal.modalities.language.samples import make_samples
from namm_xmodal.modalities.language.section import LanguageSection
from namm_xmodal.modalities.language.tasks import on_model, tasks_of

if TYPE_CHECKING:
    from namm_xmodal.memory import Memory
    from namm_xmodal.modalities.language.continuation import Context


class LastContext:
    """The context that an arm has read last, for the questions about it that follow; one at a time is in memory."""

    def __init__(self) -> None:
        """Nothing was read yet."""
        self.context: Context | None = None

    def read(self, memory: "Memory", ids: tuple[int, ...], *, frozen: bool) -> "tuple[Context, float]":
        """The context, and the CPU seconds that were spent on it for an earlier question.

        Args:
            memory: The pruned model.
            ids: Tokens of the context.
            frozen: See `read_context`.
        """
        from namm_xmodal.modalities.language.continuation import read_context

        if self.context is not None and self.context.ids == ids:
            return self.context, self.context.seconds
        self.context = None
        self.context = read_context(memory, ids, frozen=frozen)
        return self.context, 0.0


class LanguageSession:
    """Loads the model once; samples are made once per task and encoded once per sample, the same for all arms."""

    def __init__(self, section: LanguageSection) -> None:
        """Loads what every sample needs."""
        from namm_xmodal.language.models import load_language_model

        self.section = section
        self.language = load_language_model(
            section.model, dtype=section.dtype, device=section.device, rope=section.rope
        )
        self._tasks = tasks_of(section)
        self._share = {
            label for label, each in self._tasks.items() if first_of_each(label, each.task, each.count) is not None
        }
        self._samples: dict[str, Sequence[Any]] = {}
        self._fitted: dict[str, Any] = {}
        language = self.language
        self._model: dict[str, Any] = {"name": language.name, "source": language.source, "dtype": language.dtype}
        if section.rope is not None:
            self._model["rope_scaling"] = section.rope.words
        if "generate" in section.scoring:
            self._model["end_of_text"] = end_of_text(language.model, language.tokenizer)

    def run(self, work: Sequence[Work], on_status: OnStatus) -> Iterator[Outcome]:
        """See `Session.run`: all arms on one sample, or on all samples with one context, after another."""
        from namm_xmodal.language.prompt import encode

        for each in work:
            readable: dict[str, tuple[Any, Any]] = {}  # by item: the sample and its token ids
            for item, arms in zip(each.items, each.arms, strict=True):
                try:
                    sample = self.sample(item.task, item.number)
                    encoded = encode(sample, self.language.tokenizer)
                    self._check(item, arms, sample, encoded)
                except ItemError as error:
                    yield from (self._skipped(item, arm, error) for arm in arms)
                    continue
                readable[item.id] = (sample, encoded)
            for arm, items in each.by_arm():
                last = LastContext()
                for item in items:
                    if item.id in readable:
                        yield self._answered(item, arm, *readable[item.id], last)

    def _answered(self, item: Item, arm: Arm, sample: Any, encoded: Any, last: LastContext) -> Outcome:
        try:
            with named(f"policies.{arm.label}", arm.policy):
                return self._outcome(item, arm, sample, encoded, last)
        except (PluginError, ContractError) as error:
            tagged = replace(item, tags=sample.tags)
            return Outcome.failed(tagged, arm, error, LanguageFacts(encoded.prompt_length), self._model)

    def _outcome(self, item: Item, arm: Arm, sample: Any, encoded: Any, last: LastContext) -> Outcome:
        from namm_xmodal.evaluation.fit import described
        from namm_xmodal.modalities.language.scoring import score_sample

        policy, section = self.policy(arm), self.section
        frozen, before = arm.schedule == "post_context", time.process_time()
        # Apart also for a single question: read in one piece, its last bits would tell whether others were left.
        apart = frozen or (item.task in self._share and arm.schedule != "post_prefill")
        context, earlier = None, 0.0
        with pruned_for(section, self.language.model, policy, arm.schedule) as memory:
            if apart and (encoded.answer_ids or encoded.choice_ids):
                context, earlier = last.read(memory, encoded.context_ids, frozen=frozen)
            answer = score_sample(
                memory,
                self.language.tokenizer,
                sample,
                encoded,
                scoring=section.scoring,
                generate_tokens=section.generate_tokens,
                context=context,
                frozen=frozen,
            )
        return Outcome(
            item=replace(item, tags=sample.tags),
            arm=arm,
            scores=answer.scores,
            kept=Kept.of(answer.report),
            seconds={"sample": earlier + time.process_time() - before},
            facts=LanguageFacts(answer.prompt_tokens),
            model=self._model,
            fit=described(policy),
            text=answer.text,
        )

    def _skipped(self, item: Item, arm: Arm, error: ItemError) -> Outcome:
        return Outcome(item, arm, {}, Kept(), {}, LanguageFacts(), self._model, "skipped", str(error))

    def policy(self, arm: Arm) -> Any:
        """What prunes, None for the full cache; a NAMM is fitted once."""
        if arm.policy is None:
            return None
        if arm.fingerprint not in self._fitted:
            from namm_xmodal.evaluation.fit import fitted
            from namm_xmodal.modalities.language.fit import PlainTexts

            plain = PlainTexts(self.language, self.section.update_every)
            self._fitted[arm.fingerprint] = fitted(arm, self.language.model, plain, self.section)
        return self._fitted[arm.fingerprint]

    def sample(self, label: str, number: int) -> Any:
        """A sample of a task.

        Raises:
            ItemError: If it is an item of a suite that cannot be asked.
        """
        if label not in self._samples:
            asked, language = self._tasks[label], self.language
            task = on_model(asked.task, language.name, language.max_context)
            self._samples[label] = make_samples(
                label, task, asked.count, seed=self.section.seed, tokenizer=language.tokenizer
            )
        return self._samples[label][number]

    def _check(self, item: Item, arms: Sequence[Arm], sample: Any, encoded: Any) -> None:
        """What `check_language` has found before, unless the tokenizer had to be fetched first, or it was not looked at.

        Raises:
            ItemError: Of an item of a suite, if it is too short. The first one ends the run: then it is the settings.
            NammError: Of any other.
        """
        task = self._tasks[item.task].task
        if not isinstance(task, SuiteTask):
            self._check_sample(item, arms, sample, encoded)
            return
        place = task.place(item.number)
        check_length(self.section, encoded, place)
        try:
            self._check_sample(item, arms, sample, encoded)
        except NammError as error:
            if item.number == 0:
                raise
            raise ItemError(f"{place}: {error}") from None

    def _check_sample(self, item: Item, arms: Sequence[Arm], sample: Any, encoded: Any) -> None:
        where, section, language = f"tasks.{item.task}: sample {item.number}", self.section, self.language
        check_scoring(where, section, sample)
        check_context(where, encoded, tokens_after(section, sample, encoded), language.name, language.max_context)
        for arm in arms:
            if not arm.full:
                reading = read_before_pruning(where, encoded, arm.schedule)
                check_reading(f"policies.{arm.label}", arm.budget, reading, pruning_of(section, arm))
