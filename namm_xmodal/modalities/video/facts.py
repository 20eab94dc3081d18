"""What an answer about a video reports beside its scores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VideoFacts:
    """Facts of one question under one arm; all at their defaults for a skipped one.

    Attributes:
        chosen: Index of the option that is most likely.
        parsed: Index of the option that generated text names, None if it names none or nothing was generated.
        generated: Whether an answer was generated.
        prompt_tokens: Length of the prompt.
        frames: Sampled frames.
        sampler: By which rule.
        notes: What is worth knowing of the video, such as damage.
        rope_factor: By which positions were stretched to hold the prompt.
        visual_tokens: Visual tokens of the whole video.
        read_visual: Those that the model was given.
    """

    chosen: int | None = None
    parsed: int | None = None
    generated: bool = False
    prompt_tokens: int = 0
    frames: int = 0
    sampler: str = ""
    notes: tuple[str, ...] = ()
    rope_factor: int = 1
    visual_tokens: int = 0
    read_visual: int = 0
