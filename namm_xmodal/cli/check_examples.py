"""A model and inputs for each adapter, for `namm-xmodal check adapter`."""

from collections.abc import Callable
from typing import Any

Example = tuple[Any, dict[str, Any]]
"""A model in evaluation mode, and what its adapter's `forward` takes."""


def _language(name: str) -> Example:
    """A language model in float32, and two texts of different lengths."""
    from namm_xmodal.language.models import load_language_model

    loaded = load_language_model(name, dtype="float32")
    texts = ["A cache holds what was read.", "A policy decides which part of it is worth holding."]
    loaded.tokenizer.padding_side = "left"
    loaded.tokenizer.pad_token = loaded.tokenizer.pad_token or loaded.tokenizer.eos_token
    return loaded.model, dict(loaded.tokenizer(texts, return_tensors="pt", padding=True))


def _video(name: str) -> Example:
    """A LLaVA-NeXT-Video in float32, and a question about four frames of a generated clip."""
    from namm_xmodal.video.benchmarks.question import Prompt
    from namm_xmodal.video.models import load_video_model
    from namm_xmodal.video.procedural.clip import make_clip
    from namm_xmodal.video.tokens import chat_text

    loaded = load_video_model(name, dtype="float32")
    clip = make_clip(0, 0, 4)
    text = chat_text(loaded, Prompt((range(len(clip.video)), clip.questions[0].text), ()))
    return loaded.model, dict(loaded.processor(text=text, videos=[clip.video], return_tensors="pt"))


def _decision_transformer(name: str) -> Example:
    """A Decision Transformer in float64 (the first of a family), and two random trajectories of eight steps."""
    import torch

    from namm_xmodal.agents.checkpoint import find_checkpoints, load_checkpoint

    label, place = next(iter(find_checkpoints(name).items()))
    model = load_checkpoint(label, place).agent_model.model
    generator = torch.Generator().manual_seed(0)
    sizes = {"states": model.config.state_dim, "actions": model.config.act_dim, "returns_to_go": 1}
    inputs = {key: torch.rand(2, 8, size, generator=generator, dtype=model.dtype) for key, size in sizes.items()}
    return model, {**inputs, "timesteps": torch.arange(8).expand(2, -1)}


EXAMPLES: dict[str, tuple[str, Callable[[str], Example]]] = {
    "language": ("tiny-random", _language),
    "llava_next_video": ("llava-small", _video),
    "vision_language": ("llava-small", _video),
    "decision_transformer": ("tmaze", _decision_transformer),
}
"""For each adapter, the name of a model that is always available, and a function from a name to an example."""
