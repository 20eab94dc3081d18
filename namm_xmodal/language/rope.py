"""RoPE scaling: stretches rotary positions when a model is loaded, for contexts longer than it was trained for."""

from dataclasses import dataclass
from typing import Any, Literal

from namm_xmodal.errors import ConfigError, UnsupportedModelError

Kind = Literal["linear", "yarn", "ntk"]
MOST_FACTOR = 1024


@dataclass(frozen=True)
class Rope:
    """How positions are stretched.

    Attributes:
        rope_type: `linear`: positions are divided by the factor (arXiv:2306.15595). `yarn`: slow dimensions only, and
            attention is sharpened (arXiv:2309.00071). `ntk`: the base grows by factor ** (D / (D - 2)) with D turned
            dimensions of a head, so that the slowest one is stretched by the factor and the fastest not at all; so does
            the NAMM paper.
        factor: How many times longer the context becomes, above 1.
    """

    rope_type: Kind
    factor: float

    def __post_init__(self) -> None:
        if not 1 < self.factor <= MOST_FACTOR:
            raise ConfigError(f"rope_scaling.factor: {self.factor}: expected a number above 1, at most {MOST_FACTOR}")

    @property
    def words(self) -> str:
        """For records: `yarn x4`."""
        return f"{self.rope_type} x{self.factor:g}"


def stretch(config: Any, rope: Rope, name: str) -> None:
    """Changes a configuration before its model is built.

    Args:
        config: transformers' configuration of the model.
        rope: How.
        name: Of the model, for messages.

    Raises:
        UnsupportedModelError: If the model has no rotary positions of the plain kind.
    """
    text = config.get_text_config()
    given = getattr(text, "rope_parameters", None)
    context = getattr(text, "max_position_embeddings", None)
    kind = given.get("rope_type", "default") if isinstance(given, dict) else None
    plain = isinstance(given, dict) and isinstance(given.get("rope_theta"), int | float) and kind == "default"
    if not plain or context is None or "mrope_section" in (given or {}):
        found = f"of type {kind}" if kind not in (None, "default") else "not of the plain kind"
        raise UnsupportedModelError(
            f"rope_scaling: {name}: its positions are {found}; expected plain rotary positions, the same in all layers "
            "and unscaled; leave rope_scaling out"
        )
    parameters = dict(given or {})
    if rope.rope_type == "ntk":
        size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        turned = int(size * parameters.get("partial_rotary_factor", 1.0))
        parameters["rope_theta"] = parameters["rope_theta"] * rope.factor ** (turned / (turned - 2))
    else:
        parameters |= {"rope_type": rope.rope_type, "factor": float(rope.factor)}
        if rope.rope_type == "yarn":
            parameters["original_max_position_embeddings"] = context
    text.rope_parameters = parameters
    text.max_position_embeddings = int(context * rope.factor)
