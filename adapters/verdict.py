"""Whether pruning a model is exact, refused or wrong, found by trying it on random tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from namm_xmodal.adapters.check import check_adapter
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.errors import ContractError, UnsupportedModelError, UnsupportedOperationError

_LENGTH, _PADDING = 48, 7


@dataclass(frozen=True)
class Verdict:
    """The verdict on a model.

    Attributes:
        kind: `exact` (a pruned cache equals full attention under a mask), `refused` (before or at the first forward),
            or `wrong`, which none that ships with transformers should be.
        about: The adapter's name if exact, else one sentence.
    """

    kind: Literal["exact", "refused", "wrong"]
    about: str

    def __str__(self) -> str:
        return f"exact, by the adapter {self.about}" if self.kind == "exact" else f"{self.kind}: {self.about}"


def verdict_of(model: torch.nn.Module, inputs: Mapping[str, Any] | None = None) -> Verdict:
    """Tries to prune a model.

    Args:
        model: In evaluation mode, float32 or float64; random weights will do.
        inputs: What it reads, a batch of at least 8 tokens; two texts of random tokens if None, one left-padded.
    """
    try:
        adapter = find_adapter(model)
        check_adapter(adapter, model, random_texts(model) if inputs is None else inputs)
    except (UnsupportedModelError, UnsupportedOperationError) as error:
        return Verdict("refused", str(error))
    except ContractError as error:
        return Verdict("wrong", str(error))
    return Verdict("exact", adapter.name)


def random_texts(model: torch.nn.Module) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` of two rows, without tokens that stand for anything but text.

    Args:
        model: With a configuration of transformers.
    """
    config: Any = model.config
    special = _special(config.to_dict())
    plain = [token for token in range(config.get_text_config(decoder=True).vocab_size) if token not in special]
    generator = torch.Generator().manual_seed(0)
    ids = torch.tensor(plain)[torch.randint(len(plain), (2, _LENGTH), generator=generator)]
    mask = torch.ones_like(ids)
    mask[1, :_PADDING] = 0
    return {"input_ids": ids, "attention_mask": mask}


def _special(values: Any, name: str = "") -> set[int]:
    """Token ids that a configuration names, at any depth."""
    if isinstance(values, dict):
        return set().union(*(_special(value, str(key)) for key, value in values.items()))
    if isinstance(values, list):
        return set().union(*(_special(value, name) for value in values))
    return {values} if isinstance(values, int) and name.endswith(("token_id", "token_index", "token_ids")) else set()
