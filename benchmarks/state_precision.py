"""How many of the tokens that a NAMM keeps would be the same if its state had eight bits a number.

    python benchmarks/state_precision.py            # some minutes on one core

SmolLM2-135M in bfloat16, six texts of Python's documentation of 1,024 tokens, an update every 128, the ranking alone at
each size. After every tile the averages and rows of the channels that read attention are rounded: to steps of an eighth of
an octave (32 octaves in eight bits), or to e4m3 with one scale a row. Compared with the usual 16 bits.
"""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor

from namm_xmodal import Namm, pruned
from namm_xmodal.language.models import load_language_model
from namm_xmodal.modalities.language.fit import plain_texts
from namm_xmodal.policies.namm.channels.hops import HopChannel
from namm_xmodal.policies.protocol import Tile
from namm_xmodal.policies.state import State

Way = Literal["octaves", "e4m3"]
SMALLEST = 2.0**-30


def rounded(values: Tensor, way: Way) -> Tensor:
    """(..., S) not negative -> the same in eight bits a number."""
    if way == "octaves":
        exponent = (values.float().clamp(min=SMALLEST).log2() * 8).round() / 8
        return torch.where(values > 0, exponent.exp2(), 0.0)
    scale = values.float().amax(-1, keepdim=True).clamp(min=1e-12) / torch.finfo(torch.float8_e4m3fn).max
    return (values.float() / scale).to(torch.float8_e4m3fn).float() * scale


@dataclass(frozen=True, eq=False)
class Rounded(Namm):
    """A NAMM whose state is rounded after every tile."""

    way: Way = "octaves"

    def observe(self, state: State, tile: Tile) -> None:
        """Takes attention rows in, then rounds."""
        super().observe(state, tile)
        for channel in self.features.channels:
            if isinstance(channel, HopChannel):
                for part in ("omega", "tail"):
                    stored = state.token(f"{channel.name}.{part}")
                    stored.copy_(rounded(stored, self.way))


@torch.no_grad()
def kept(model: Any, texts: list[Any], policy: Namm) -> list[set[tuple[int, int, int]]]:
    """For each text: layer, head and index of every token that is held."""
    found = []
    for text in texts:
        with pruned(model, policy, update_every=128) as memory:
            cache = memory.cache()
            model(text["input_ids"][:, :1024], past_key_values=cache, use_cache=True, logits_to_keep=1)
        held = ((layer.layer, head, row) for layer in cache.pruned for head, row in enumerate(layer.index[0].tolist()))
        found.append({(layer, head, token) for layer, head, row in held for token in row if token >= 0})
    return found


def main() -> None:
    """Prints a line for each policy, size and way."""
    torch.set_num_threads(1)
    language = load_language_model("smollm2-135m", dtype="bfloat16")
    texts = plain_texts(language, "python-topics", 1024, 6, "state precision")
    for name, size in (("namm-smollm2", 0.5), ("namm-smollm2", 0.25), ("namm-universal", 0.5)):
        policy = Namm.from_pretrained(name, threshold=-math.inf, max_tokens=size)
        usual = kept(language.model, texts, policy)
        parts = {each.name: getattr(policy, each.name) for each in fields(Namm)}
        ways: tuple[Way, ...] = ("octaves", "e4m3")
        for way in ways:
            other = kept(language.model, texts, Rounded(**parts, way=way))
            same = sum(len(one & two) for one, two in zip(usual, other, strict=True)) / sum(map(len, usual))
            print(f"{name} at {size:.0%}, {way}: {same:.1%} of the kept tokens are the same")


if __name__ == "__main__":
    main()
