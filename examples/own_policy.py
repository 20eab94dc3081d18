"""A policy of your own in ten lines, checked against the contract and put into a model."""

from dataclasses import dataclass

import torch
from torch import Tensor

from namm_xmodal import Budgeted, Observation, check_policy, pruned
from namm_xmodal.language.models import load_language_model


@dataclass(frozen=True, kw_only=True)
class LoudValues(Budgeted):
    """Keeps tokens whose values are large."""

    def score(self, observation: Observation) -> Tensor:
        return observation.values.norm(dim=-1)  # (B, H, S)


check_policy(LoudValues(budget=0.5))
loaded = load_language_model("tiny-random")
ids = loaded.tokenizer("A text that is longer than two updates of sixteen tokens.", return_tensors="pt").input_ids
with torch.no_grad(), pruned(loaded.model, LoudValues(budget=0.5), update_every=16) as memory:
    loaded.model(ids, past_key_values=memory.cache())
print(memory.report())
