"""Checks a language evaluation before its model is loaded: texts, lengths, sizes, tokenizer, device."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from namm_xmodal.config.building import at
from namm_xmodal.errors import DataError, ItemError, NammError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_reading, check_sizes
from namm_xmodal.language.at_hand import ModelAtHand, model_at_hand
from namm_xmodal.language.precision import check_precision
from namm_xmodal.language.prompt import EncodedSample, encode
from namm_xmodal.language.sample import Sample
from namm_xmodal.language.suites.task import SuiteTask
from namm_xmodal.language.texts import find_texts
from namm_xmodal.modalities.language.fit import LONG, TOKENS, text_length
from namm_xmodal.modalities.language.groups import first_of_each
from namm_xmodal.modalities.language.lookahead import look_ahead
from namm_xmodal.modalities.language.metrics import generated_scores
from namm_xmodal.modalities.language.samples import make_samples
from namm_xmodal.modalities.language.section import LanguageSection
from namm_xmodal.modalities.language.tasks import Asked, missing_tasks, on_model, tasks_of
from namm_xmodal.types import ONCE, OnNotice


@dataclass
class _Met:
    """Items that end no run, but that a reader of the scores has to know of."""

    cut: list[str] = field(default_factory=list)
    likely_cut: list[str] = field(default_factory=list)  # not tokenised, but of many characters
    skipped: list[str] = field(default_factory=list)

    def say(self, everything: int, notice: OnNotice) -> None:
        """Tells how many there are of all items.

        Raises:
            DataError: If none can be asked.
        """
        if cut := self.cut + self.likely_cut:
            likely = len(self.likely_cut)
            about, judged = ("about ", f"; {likely} by their characters") if likely else ("", "")
            notice(
                f"{about}{len(cut)} of {everything} items lose their middle, since they are too long (the first: "
                f"{cut[0]}{judged})"
            )
        if self.skipped:
            count = len(self.skipped)
            notice(f"{count} of {everything} items are unusable and skipped (the first: {self.skipped[0]})")
            if count == everything:
                raise DataError(f"none of {everything} items is usable ({self.skipped[0]})")


def check_language(section: LanguageSection, arms: Sequence[Arm], notice: OnNotice = lambda text: None) -> None:
    """Makes samples with the model's tokenizer, and refuses what could not be read or would mean nothing.

    Of a suite the first, the longest and all short items of each task are made; the others are read, and what is wrong with
    their lengths shows when their turn comes.

    Args:
        section: What is evaluated.
        arms: Its arms.
        notice: Called if the tokenizer is not on this machine, so that lengths are taken as written.

    Raises:
        NammError: The first mistake, on one line.
    """
    check_precision(section.dtype, section.device)
    model = model_at_hand(section.model, section.rope)
    if model is None:
        notice(not_at_hand(section.model))
    schedules = {arm.schedule for arm in arms if not arm.full}
    readings: dict[str, list[Reading]] = {schedule: [] for schedule in schedules}
    tasks = tasks_of(section)
    _say_what_is_missing(section, tasks, notice)
    met = _Met()
    for label, asked in tasks.items():
        _say_what_is_not_shared(label, asked, notice)
        written = check_task(asked.task, asked.path, section.model, model)
        if model is None:
            for each in readings.values():
                each += written
            continue
        task = on_model(asked.task, section.model, model.max_context)
        samples = make_samples(label, task, asked.count, seed=section.seed, tokenizer=model.tokenizer)
        ahead = None
        if isinstance(task, SuiteTask):
            ahead = look_ahead(task, asked.count, section.update_every, model.tokenizer)
            met.skipped += ahead.broken.values()
        tokens = characters = 0
        for number in range(asked.count) if ahead is None else ahead.numbers:
            where = f"{asked.path}: sample {number}"
            try:
                sample = samples[number]
                encoded = encode(sample, model.tokenizer)
                if isinstance(task, SuiteTask):
                    check_length(section, encoded, task.place(number))
            except ItemError as error:
                met.skipped.append(str(error))
                continue
            met.cut += [f"{label}/{number}"] if sample.tags.get("truncated") == "yes" else []
            check_context(where, encoded, tokens_after(section, sample, encoded), section.model, model.max_context)
            check_scoring(where, section, sample)
            if number == 0 and "generate" in section.scoring and not isinstance(task, SuiteTask):
                check_metrics(where, sample)  # of one, since long answers take time; a suite tries those of every item
            for schedule, each in readings.items():
                each.append(read_before_pruning(where, encoded, schedule))
            tokens, characters = tokens + encoded.prompt_length, characters + len(sample.context + sample.question)
        if ahead is not None and characters:
            met.likely_cut += [f"{label}/{number}" for number in ahead.longer_than(task.most, tokens / characters)]
    met.say(sum(asked.count for asked in tasks.values()), notice)
    for arm in arms:
        if not arm.full:  # the full cache always holds what it says
            row, pruning = f"policies.{arm.label}", pruning_of(section, arm)
            check_sizes(row, arm.budget, readings[arm.schedule], pruning)
            for reading, share in _fitted_on(arm, model):
                check_reading(row, share, reading, replace(pruning, every=section.update_every))


def _say_what_is_missing(section: LanguageSection, tasks: Mapping[str, Asked], notice: OnNotice) -> None:
    if missing := missing_tasks(section):
        notice(
            f"{len(missing)} of {len(missing) + len(tasks) - len(section.tasks)} tasks of {section.suite} have no file in "
            f"{section.data} and are left out: {', '.join(missing)}"
        )
    for asked in tasks.values():
        if section.n is not None and isinstance(asked.task, SuiteTask) and asked.count < section.n:
            notice(f"{asked.path}: n: {section.n}: its file has {asked.count} items, all of which are asked")


def _say_what_is_not_shared(label: str, asked: Asked, notice: OnNotice) -> None:
    """Tells of a task that is to share contexts and has none to share: some prompts may differ by a space only."""
    if isinstance(asked.task, SuiteTask) or asked.count == 1:
        return
    firsts = first_of_each(label, asked.task, asked.count)
    if firsts is not None and len(set(firsts)) == asked.count:
        notice(f"{asked.path}: no two of its {asked.count} samples have the same context, so none is shared")


def check_length(section: LanguageSection, encoded: EncodedSample, place: str) -> None:
    """Refuses an item of a suite during which no update would come: no policy would evict anything.

    Raises:
        ItemError: With its place and length.
    """
    if "streaming" in section.schedules and encoded.prompt_length < section.update_every:
        raise ItemError(
            f"{place}: its prompt has {encoded.prompt_length} tokens, shorter than update_every={section.update_every}"
        )


def pruning_of(section: LanguageSection, arm: Arm) -> Pruning:
    """Clock and protection of an arm."""
    every = section.update_every if arm.schedule == "streaming" else None
    return Pruning(every, section.protect_first, section.protect_recent)


def _fitted_on(arm: Arm, model: ModelAtHand | None) -> Iterator[tuple[Reading, float | None]]:
    """Plain texts that a NAMM's statistics and thresholds come from, and the share of them that is to be kept."""
    context = None if model is None else model.max_context
    if arm.fit.statistics != "frozen":
        yield Reading(f"policies.{arm.label}.statistics: a text to estimate from", text_length(TOKENS, context)), None
    if arm.fit.share is not None:
        yield Reading(f"policies.{arm.label}.calibrated: a text", text_length(LONG, context)), arm.fit.share


def tokens_to_generate(section: LanguageSection, sample: Sample) -> int:
    """Most tokens that are generated for the answer of a sample."""
    if "generate" not in section.scoring:
        return 0
    return section.generate_tokens if sample.generation is None else sample.generation.tokens


def check_task(task: Any, path: str, name: str, model: ModelAtHand | None) -> list[Reading]:
    """Refuses texts that are not on this machine, and lengths beyond the model's context.

    Args:
        task: Any task; those of this package have `texts` and `length`.
        path: Where it stands in the configuration.
        name: Of the model.
        model: What is known about it.

    Returns:
        The lengths as they are written; samples come within 2 % of them.
    """
    if (texts := getattr(task, "texts", None)) is not None:
        try:
            find_texts(texts)
        except NammError as error:
            raise at(path, error) from None
    lengths, context = getattr(task, "length", ()), None if model is None else model.max_context
    if context is not None and max(lengths, default=0) > context:
        raise DataError(
            f"{path}: length: {max(lengths)} tokens, but the context of {name} is {context}; use shorter lengths"
        )
    return [Reading(f"{path}.length: a sample", length) for length in lengths]


def read_before_pruning(where: str, encoded: EncodedSample, schedule: str) -> Reading:
    """What of a sample is read before it is pruned for the last time.

    Under a clock and under `post_prefill` all of its prompt, under `post_context` its context. A text without a question is
    pruned in its middle by schedules that prune once.

    Raises:
        DataError: If the sample has no question apart from its context, which would be known when pruning; or no context.
    """
    if not encoded.answer_ids and not encoded.choice_ids:
        return Reading(where, encoded.prompt_length // 2 if schedule in ONCE else encoded.prompt_length)
    if schedule != "post_context":
        return Reading(where, encoded.prompt_length)
    count = len(encoded.context_ids)
    if not encoded.question_ids:
        raise DataError(
            f"{where}: has no question separate from its context, so post_context would prune with the question known; "
            "separate the two, or use post_prefill"
        )
    if count < 2:
        raise DataError(
            f"{where}: expected a context of 2 tokens or more before its question, found {count}, so post_context "
            "would prune nothing; move text into the context, or use post_prefill"
        )
    return Reading(f"{where}: its context", count)


def tokens_after(section: LanguageSection, sample: Sample, encoded: EncodedSample) -> int:
    """Most tokens that follow the prompt of a sample: those generated, and those of answers whose likelihood is scored."""
    generated = tokens_to_generate(section, sample)
    if sample.generation is not None:
        return generated
    answers = [len(each) for each in (encoded.answer_ids, *encoded.choice_ids) if each]
    return max(*answers, generated) if answers else 0


def check_context(where: str, encoded: EncodedSample, after: int, model: str, context: int | None) -> None:
    """Refuses a sample that is longer, with what follows it, than what the model was built for.

    Raises:
        DataError: With both lengths.
    """
    needed = encoded.prompt_length + after
    if context is not None and needed > context:
        raise DataError(f"{where} needs {needed} tokens, but the context of {model} is {context}; use shorter lengths")


def check_scoring(where: str, section: LanguageSection, sample: Sample) -> None:
    """Refuses a sample that would get no score, since its answer is to be generated and nothing is.

    Raises:
        DataError: With what to add.
    """
    if sample.generation is not None and "generate" not in section.scoring:
        raise DataError(
            f"{where}: its answer is generated, but scoring is {list(section.scoring)}; add generate to scoring"
        )


def check_metrics(where: str, sample: Sample) -> None:
    """Scores the right answer by the sample's own metrics, which finds what they lack: a package, labels, another answer.

    Raises:
        NammError: With the metric.
    """
    if sample.generation is not None:
        try:
            generated_scores(sample.answer, sample)
        except NammError as error:
            raise at(where, error) from None


def not_at_hand(model: str) -> str:
    """What to tell about a model that must be fetched first."""
    return f"{model} is not on this machine yet; lengths are checked roughly now, and exactly after it is loaded"
