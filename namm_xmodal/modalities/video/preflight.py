"""Checks a video evaluation before its model is loaded: sizes, update interval, processor, device."""

from collections.abc import Sequence
from pathlib import Path

from namm_xmodal.adapters.llava_next_video import missing_grid
from namm_xmodal.config.building import at
from namm_xmodal.errors import ConfigError, ItemError, UnsupportedModelError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.meaning import Pruning, Reading, check_reading
from namm_xmodal.extras import need
from namm_xmodal.language.precision import check_precision
from namm_xmodal.modalities.language.preflight import not_at_hand
from namm_xmodal.modalities.video.arms import cache_room
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.types import OnNotice
from namm_xmodal.video.at_hand import VideoModelAtHand, video_model_at_hand
from namm_xmodal.video.benchmarks.benchmark import Benchmark
from namm_xmodal.video.benchmarks.question import Composed, Generated, VideoQuestion
from namm_xmodal.video.reductions import FewerFrames, PoolingStride
from namm_xmodal.video.tokens import chat_text


def check_videos(
    config: VideoSection,
    arms: Sequence[Arm],
    benchmark: Benchmark,
    questions: Sequence[VideoQuestion],
    notice: OnNotice = lambda text: None,
) -> bool:
    """Refuses what could not run, and what `check_prompts` refuses if the processor is on this machine.

    Args:
        config: The evaluation.
        arms: Its policies and baselines.
        benchmark: Makes the prompts.
        questions: Those that are asked.
        notice: Called if the processor is not on this machine, so that prompts cannot be counted yet.

    Returns:
        Whether prompts were counted.

    Raises:
        NammError: The first mistake, on one line.
    """
    check_precision(config.dtype, config.device)
    _say_what_is_missing(questions, notice)
    files = any(isinstance(question.video, Path) for question in questions)
    if files:
        need("av", "a video")
        if config.loader.backend == "decord":
            need("decord", "backend decord")
    model = video_model_at_hand(config.model)
    if model is None:
        notice(not_at_hand(config.model))
        return False
    if model.cells is not None and model.config is not None and (problem := missing_grid(model.config)) is not None:
        raise UnsupportedModelError(f"model {config.model!r} {problem}")
    check_prompts(config, arms, benchmark, questions, model)
    return model.cells is not None


def _say_what_is_missing(questions: Sequence[VideoQuestion], notice: OnNotice) -> None:
    """What will be skipped or not scored, as far as it is known without opening a video; the first by name."""
    gone = [each for each in questions if isinstance(each.video, Path) and not each.video.exists()]
    missing = (
        ("are unusable and will be skipped", [each.problem for each in questions if each.problem]),
        ("will be skipped, since their video is missing", [f"{_place(each)}: {each.video}" for each in gone]),
        (
            "will be asked but not scored, since they have no answer",
            [_place(each) for each in questions if not each.keyed],
        ),
    )
    for what, found in missing:
        if found:
            notice(f"{len(found)} of {len(questions)} questions {what} (the first: {found[0]})")


def _place(question: VideoQuestion) -> str:
    return question.place or question.id


def check_prompts(
    config: VideoSection,
    arms: Sequence[Arm],
    benchmark: Benchmark,
    questions: Sequence[VideoQuestion],
    model: VideoModelAtHand,
) -> None:
    """Counts the tokens of every prompt, and refuses rows that would not hold what they say.

    Videos in files count as if they had all the frames that are asked for; what is wrong with shorter ones is found when
    they are read, and skips them.

    Raises:
        NammError: The first mistake, on one line.
    """
    if model.cells is None:  # how many tokens a frame has shows when it is read
        reductions = [arm.label for arm in arms if arm.baseline is not None]
        if reductions:
            raise ConfigError(
                f"reductions.{reductions[0]}: reduces tokens before the language model, which only works with "
                f"LLaVA-NeXT-Video, not {model.name!r}; remove it (cache policies work)"
            )
        return
    sizes = sorted({size for question in questions if (size := _size(config, model, benchmark, question)) is not None})
    for arm in arms:
        for frames, text, asked in sizes:
            if arm.baseline is not None:
                _check_reduction(arm, frames, frames * model.cells)
            elif arm.policy is not None:
                _check_policy(config, arm, frames, frames * model.cells, text, asked)


def _size(
    config: VideoSection, model: VideoModelAtHand, benchmark: Benchmark, question: VideoQuestion
) -> tuple[int, int, int] | None:
    """Frames, tokens beside the visual ones, and those of them after the last frame; None if it cannot be asked."""
    if question.problem:
        return None
    video = question.video
    frames = video.frames if isinstance(video, Generated | Composed) else config.frames
    try:
        prompt = benchmark.prompt(question, range(frames))
        ids: list[int] = model.tokenizer(chat_text(model, prompt))["input_ids"]
    except ItemError:
        return None
    marks = sum(isinstance(segment, range) for segment in prompt.segments)  # each is one token until frames replace it
    mark = model.tokenizer.convert_tokens_to_ids(model.processor.video_token)
    return frames, len(ids) - marks, ids[::-1].index(mark) if mark in ids else 0


def _check_policy(config: VideoSection, arm: Arm, frames: int, visual: int, text: int, asked: int) -> None:
    row, every = f"policies.{arm.label}", config.update_every if arm.schedule == "streaming" else None
    pruning = Pruning(every, config.protect_first, config.protect_recent)
    asked = asked if arm.schedule == "post_context" else 0
    what = f"a prompt with {frames} frames" + (", up to its question," if asked else "")
    check_reading(row, None, Reading(what, visual + text - asked), pruning)
    if arm.budget is not None:
        try:
            cache_room(
                arm.budget,
                full=visual,
                visual=visual,
                text=text,
                every=every,
                protected=pruning.protected,
                asked=asked,
            )
        except ItemError as error:
            raise at(row, error) from None


def _check_reduction(arm: Arm, frames: int, visual: int) -> None:
    """Refuses a share that is less than half of the smallest piece, of which one is read at least."""
    assert arm.budget is not None
    pieces, what = (frames, "frames") if isinstance(arm.baseline, FewerFrames) else (visual, "visual tokens")
    if not isinstance(arm.baseline, PoolingStride) and round(arm.budget * pieces) < 1:
        raise ConfigError(
            f"reductions.{arm.label}: budget {arm.budget}: none of {pieces} {what} would remain; use a larger budget "
            "or more frames"
        )
