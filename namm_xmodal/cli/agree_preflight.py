"""What a source of agreement would be refused for, found before a model is loaded."""

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
    """Refuses sources that could not be read, or from which nothing could be learnt.

    Args:
        setup: The run.
        notice: Told which models are not on this machine.
        gradient: Whether gradients will be taken.

    Raises:
        NammError: The first mistake, on one line.
    """
    for name, source in setup.agree.sources.items():
        with named(f"agree.{name}"):
            check_source(source, setup.config.samples, notice)
            if isinstance(source, LanguageSource):
                _check_dtype(source, setup.config)
            if source.length is not None and gradient:
                _check_evicts(source, source.length, setup.config)


def check_source(source: AgreeSource, samples: int, notice: Callable[[str], None]) -> None:
    """Refuses a source that could not be read.

    Args:
        source: Of any modality.
        samples: Its inputs at a time, if it does not say.
        notice: Told if its model is not on this machine.

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
            f"{source.length} tokens reach no update (update_every={source.update_every}); use more tokens or a smaller "
            "update_every"
        )


def _check_dtype(source: LanguageSource, config: EvolveConfig) -> None:
    mine, theirs = (choose_dtype(each.dtype, each.device) for each in (source, config))
    if source.model in config.models and source.device == config.device and mine != theirs:
        raise ConfigError(
            f"dtype: {source.dtype}: the tasks read {source.model} in {str(theirs).removeprefix('torch.')}; give both the "
            "same, or it would be in memory twice and answer differently"
        )


def _check_language(source: LanguageSource, notice: Callable[[str], None]) -> None:
    for text in source.texts:
        find_texts(text)
    model = model_at_hand(source.model)
    if model is None:
        notice(not_at_hand(source.model))
    elif model.max_context is not None and source.length is not None and source.length > model.max_context:
        raise ConfigError(
            f"tokens: {source.length} tokens, repetition included: {source.model} was built for {model.max_context}; use "
            "fewer"
        )


def _check_evicts(source: AgreeSource, length: int, config: EvolveConfig) -> None:
    """The last steps must evict something."""
    reading = Reading("an input", length)
    pruning = Pruning(source.update_every, config.protect_first, config.protect_recent)
    seen, options = pruning.last_update(reading), config.gradient
    floor = options.floor if source.floor is None else source.floor
    if floor >= seen:
        raise ConfigError(
            f"floor: {floor}: keeps everything, since no update comes after more than {seen} tokens; set a floor of its "
            "own, or read more"
        )
    budget = source.smallest_budget or options.smallest_budget or source.budget or options.budget
    share_of = length if (source.share_of or options.share_of) == "whole" else seen
    check_reading("budget", max(budget_tokens(budget, share_of), min(floor, seen)), reading, pruning)
