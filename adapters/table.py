"""All adapters by name, and the search for one that fits a model."""

from collections.abc import Mapping

import torch

from namm_xmodal.adapters.decision_transformer import DecisionTransformerAdapter
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.adapters.llava_next_video import LlavaNextVideoAdapter
from namm_xmodal.adapters.protocol import Adapter
from namm_xmodal.adapters.vision_language import VisionLanguageAdapter
from namm_xmodal.errors import UnknownNameError, UnsupportedModelError
from namm_xmodal.plugins import Registry

ADAPTERS: Mapping[str, type[Adapter]] = Registry(
    "adapters",
    {
        "decision_transformer": DecisionTransformerAdapter,
        "language": LanguageAdapter,
        "llava_next_video": LlavaNextVideoAdapter,
        "vision_language": VisionLanguageAdapter,
    },
)


def adapter_by_name(name: str) -> Adapter:
    """The adapter called `name`.

    Raises:
        UnknownNameError: If there is none.
    """
    if name not in ADAPTERS:
        raise UnknownNameError("adapter", name, list(ADAPTERS))
    return ADAPTERS[name]()


def find_adapter(model: torch.nn.Module) -> Adapter:
    """The first adapter that this model lacks nothing for, or the most special one derived from it.

    Raises:
        UnsupportedModelError: With what the model lacks.
    """
    reasons: dict[str, str] = {}
    fitting: list[Adapter] = []
    for name, kind in ADAPTERS.items():
        adapter = kind()
        missing = adapter.missing(model)
        if missing is None and not any(issubclass(ADAPTERS[each], kind) for each in _near(reasons)):
            fitting.append(adapter)
        reasons[name] = missing or "is not what its more special adapter asks for"
    if fitting:
        found = fitting[0]
        for adapter in fitting[1:]:  # plug-ins come after what they derive from
            found = adapter if isinstance(adapter, type(found)) else found
        return found
    # What an adapter for another kind of model misses says nothing about this one: else the most general one has the word.
    why = reasons[next(iter(_near(reasons)), "language")]
    raise UnsupportedModelError(f"{type(model).__name__} cannot be pruned: the model {why}")


def _near(reasons: Mapping[str, str]) -> list[str]:
    """Adapters for this kind of model, by what they say it lacks."""
    return [name for name, why in reasons.items() if not why.startswith("is not ")]
