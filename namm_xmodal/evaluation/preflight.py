"""What an evaluation would be refused for, found before its model is loaded: texts, lengths, sizes, tokenizer, device."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from namm_xmodal.config import EvalConfig
from namm_xmodal.config.building import at
from namm_xmodal.errors import DataError, NammError
from namm_xmodal.evaluation.estimated import LONG, TOKENS, text_length
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_reading, check_sizes
from namm_xmodal.evaluation.plan import Plan, Run, TaskPlan
from namm_xmodal.language.at_hand import ModelAtHand, model_at_hand
from namm_xmodal.language.precision import check_precision
from namm_xmodal.language.prompt import EncodedSample, encode
from namm_xmodal.language.texts import find_texts

Notice = Callable[[str], None]


def check_evaluation(config: EvalConfig, plan: Plan, notice: Notice = lambda text: None) -> None:
    """Makes every sample with the model's tokenizer, and refuses what could not be read or would mean nothing.

    Args:
        config: The evaluation.
        plan: Its plan.
        notice: Told if the tokenizer is not on this machine, so that lengths are taken as written.

    Raises:
        NammError: The first mistake, on one line.
    """
    check_precision(config.dtype, config.device)
    model = model_at_hand(config.model)
    if model is None:
        notice(not_at_hand(config.model))
    readings: dict[bool, list[Reading]] = {False: [], True: []}  # by whether pruning is to come at the end
    for task in plan.tasks:
        written = check_task(task.task, f"tasks.{task.label}", config.model, model)
        if model is None:
            for at_end in readings:
                readings[at_end] += written
        else:
            for index, encoded in enumerate(encoded_samples(config, task, model.tokenizer)):
                where = f"tasks.{task.label}: sample {index}"
                check_context(where, encoded, tokens_to_generate(config), config.model, model.max_context)
                for at_end in readings:
                    readings[at_end].append(read_before_answer(where, encoded, at_end=at_end))
    for run in plan.runs:
        if not run.full:  # the full cache always holds what it says
            row, pruning = f"policies.{run.label}", pruning_of(config, run)
            check_sizes(row, run.budget, readings[run.protocol == "prompt_end"], pruning)
            for reading, share in _fitted_on(run, model):
                check_reading(row, share, reading, replace(pruning, every=config.update_every))


def pruning_of(config: EvalConfig, run: Run) -> Pruning:
    """Clock and protection of a run."""
    every = config.update_every if run.protocol == "clock" else None
    return Pruning(every, config.protect_first, config.protect_recent)


def _fitted_on(run: Run, model: ModelAtHand | None) -> Iterator[tuple[Reading, float | None]]:
    """Plain texts that a NAMM's statistics and thresholds come from, and the share of them that is to be kept."""
    context = None if model is None else model.max_context
    if run.estimated:
        yield Reading(f"policies.{run.label}.statistics: a text to estimate from", text_length(TOKENS, context)), None
    if run.calibrated is not None:
        yield Reading(f"policies.{run.label}.calibrated: a text", text_length(LONG, context)), run.calibrated


def tokens_to_generate(config: EvalConfig) -> int:
    """Most tokens that are generated for an answer."""
    return config.generate_tokens if "generate" in config.scoring else 0


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
        raise DataError(f"{path}: length: {max(lengths)} tokens: {name} was built for {context}; use shorter lengths")
    return [Reading(f"{path}.length: a sample", length) for length in lengths]


def encoded_samples(config: EvalConfig, task: TaskPlan, tokenizer: Any) -> Iterator[EncodedSample]:
    """Every sample of a task as token ids."""
    try:
        samples = task.task.samples(task.count, seed=config.seed, tokenizer=tokenizer)
    except NammError as error:
        raise at(f"tasks.{task.label}", error) from None
    return (encode(sample, tokenizer) for sample in samples)


def read_before_answer(where: str, encoded: EncodedSample, *, at_end: bool) -> Reading:
    """What of a sample is read before its answer; a text without one is pruned in its middle if it is pruned at the end."""
    whole = encoded.answer_ids or encoded.choice_ids or not at_end
    return Reading(where, encoded.prompt_length if whole else encoded.prompt_length // 2)


def check_context(where: str, encoded: EncodedSample, generate_tokens: int, model: str, context: int | None) -> None:
    """Refuses a sample that is longer, with its answer, than what the model was built for.

    Raises:
        DataError: With both lengths.
    """
    answers = [len(each) for each in (encoded.answer_ids, *encoded.choice_ids) if each]
    needed = encoded.prompt_length + (max(*answers, generate_tokens) if answers else 0)
    if context is not None and needed > context:
        raise DataError(f"{where} needs {needed} tokens, {model} was built for {context}; use shorter lengths")


def not_at_hand(model: str) -> str:
    """What to tell about a model that must be fetched first."""
    return f"{model} is not on this machine yet: lengths are checked as they are written, and exactly once it is loaded"
