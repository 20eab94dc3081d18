"""Checks the sources of an agreement objective before any model is loaded."""

from collections.abc import Callable

from namm_xmodal.cli.evolve_setup import Setup
from namm_xmodal.config.agree import AgreeSource
from namm_xmodal.config.blame import named
from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.config.sources import LanguageSource, VideoSource
from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_reading
from namm_xmodal.language.at_hand import model_at_hand
from namm_xmodal.language.precision import check_precision, choose_dtype
from namm_xmodal.language.texts import find_texts
from namm_xmodal.modalities.language.preflight import not_at_hand
from namm_xmodal.policies.selection import budget_tokens
from namm_xmodal.unlabelled.opening import count_inputs


def check_sources(setup: Setup, notice: Callable[[str], None], *, gradient: bool) -> None:
    """Refuses sources that cannot be read, or from which nothing can be learnt.

    Args:
        setup: The run.
        notice: Called with which models are not on this machine.
        gradient: Whether gradients will be taken.

    Raises:
        NammError: The first mistake, on one line.
    """
    for name, source in setup.agree.sources.items():
        with named(f"agree.{name}"):
            check_source(source, setup.config.samples, notice)
            if isinstance(source, LanguageSource):
                _check_dtype(source, setup.config)
            if gradient:
                options, config = setup.config.gradient, setup.config
                check_evicts(
                    source,
                    budget=source.smallest_budget or options.smallest_budget or source.budget or options.budget,
                    floor=options.floor if source.floor is None else source.floor,
                    share_of=source.share_of or options.share_of,
                    protected=(config.protect_first, config.protect_recent),
                )


def check_source(source: AgreeSource, samples: int, notice: Callable[[str], None]) -> None:
    """Refuses a source that cannot be read.

    Args:
        source: Of any modality.
        samples: Inputs per step, if the source sets none.
        notice: Called if its model is not on this machine.

    Raises:
        NammError: The first mistake, on one line.
    """
    check_precision(source.dtype, source.device)
    if isinstance(source, LanguageSource):
        _check_language(source, notice)
    if isinstance(source, VideoSource):
        from namm_xmodal.modalities.video.arms import build_benchmark
        from namm_xmodal.unlabelled.video import video_section

        build_benchmark(video_section(source))
    inputs, wanted = count_inputs(source), source.samples or samples
    if inputs < wanted:
        raise ConfigError(f"count: {inputs} inputs: expected at least samples = {wanted}")
    if source.length is not None and source.length <= source.update_every:
        raise ConfigError(
            f"{source.length} tokens: the cache is never updated (update_every={source.update_every}); use more tokens "
            "or a smaller update_every"
        )


def _check_dtype(source: LanguageSource, config: EvolveConfig) -> None:
    mine, theirs = (choose_dtype(each.dtype, each.device) for each in (source, config))
    if source.model in config.models and source.device == config.device and mine != theirs:
        raise ConfigError(
            f"dtype: {source.dtype}: the tasks read {source.model} in {str(theirs).removeprefix('torch.')}; use one "
            "dtype, or the model is loaded twice and answers differently"
        )


def _check_language(source: LanguageSource, notice: Callable[[str], None]) -> None:
    for text in source.texts:
        find_texts(text)
    model = model_at_hand(source.model)
    if model is None:
        notice(not_at_hand(source.model))
    elif model.max_context is not None and source.length is not None and source.length > model.max_context:
        raise ConfigError(
            f"tokens: {source.length} tokens, repetition included: the context of {source.model} is "
            f"{model.max_context}; use fewer"
        )


def check_evicts(source: AgreeSource, *, budget: float, floor: int, share_of: str, protected: tuple[int, int]) -> None:
    """Refuses a budget from which gradients can learn nothing, where the input length is known.

    Args:
        source: What is read.
        budget: Smallest share that is kept.
        floor: Tokens kept at least.
        share_of: `seen` or `whole`: what the budget is a share of.
        protected: Oldest and newest tokens that always stay.

    Raises:
        ConfigError: If every token stays.
        BudgetError: If the budget does not hold the protected tokens.
    """
    if source.length is None:
        return
    reading, pruning = Reading("an input", source.length), Pruning(source.update_every, *protected)
    seen = pruning.last_update(reading)
    if floor >= seen:
        raise ConfigError(
            f"floor: {floor}: keeps everything, since the last update comes after {seen} tokens; set a smaller floor "
            "for this source, or use longer inputs"
        )
    whole = source.length if share_of == "whole" else seen
    check_reading("budget", max(budget_tokens(budget, whole), min(floor, seen)), reading, pruning)
