"""Which tokens a policy keeps, beside what kvpress keeps of the same text: the share of kvpress's that is kept here too.

    pip install kvpress==0.5.5        # in an environment of its own, with this package
    python benchmarks/kvpress_agreement.py

Both prune once, after a prompt of Python code, at half and a quarter of the cache, in the lowest layers of the model;
nothing is protected beside what the methods pin. Where the two differ by design, `docs/policies.md` says how. kvpress's
presses are asked layer by layer for the keys they keep, since its hooks wait for an argument that newer transformers no
longer pass; AdaKV, which masks there instead of removing, and KVzip are left out.
"""

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kvpress
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from transformers import DynamicCache

import namm_xmodal as nx
from namm_xmodal.language.models import load_language_model

BUDGETS = (0.5, 0.25)


@dataclass(frozen=True)
class Pair:
    """The same method twice, with the same settings."""

    ours: Callable[[float], Any]
    theirs: Callable[[float], Any]  # takes the share that is evicted
    tokens: int = 512


PAIRS = {
    "l2_norm": Pair(lambda b: nx.L2Norm(budget=b), lambda r: kvpress.KnormPress(r)),
    "keydiff": Pair(lambda b: nx.KeyDiff(budget=b), lambda r: kvpress.KeyDiffPress(r)),
    "streaming_llm": Pair(lambda b: nx.StreamingLLM(budget=b), lambda r: kvpress.StreamingLLMPress(r)),
    "tova": Pair(lambda b: nx.TOVA(budget=b), lambda r: kvpress.TOVAPress(r)),
    "snapkv": Pair(lambda b: nx.SnapKV(budget=b), lambda r: kvpress.SnapKVPress(r, window_size=32)),
    "pyramidkv": Pair(lambda b: nx.PyramidKV(budget=b), lambda r: kvpress.PyramidKVPress(r, window_size=32)),
    "expected_attention": Pair(
        lambda b: nx.ExpectedAttention(budget=b, n_queries=512), lambda r: kvpress.ExpectedAttentionPress(r)
    ),
    "lagkv": Pair(lambda b: nx.LagKV(budget=b), lambda r: kvpress.LagKVPress(r)),
    "lagkv, lag 32": Pair(lambda b: nx.LagKV(budget=b, lag=32), lambda r: kvpress.LagKVPress(r, lag_size=32)),
    "cur": Pair(lambda b: nx.CUR(budget=b), lambda r: kvpress.CURPress(r)),
    "compactor": Pair(lambda b: nx.Compactor(budget=b), lambda r: kvpress.CompactorPress(r)),
    "compactor, one chunk": Pair(lambda b: nx.Compactor(budget=b), lambda r: kvpress.CompactorPress(r), 256),
    "chunkkv": Pair(
        lambda b: nx.ChunkKV(budget=b, chunk=16),
        lambda r: kvpress.ChunkKVPress(kvpress.SnapKVPress(r, window_size=32), chunk_length=16),
    ),
    "criticalkv": Pair(
        lambda b: nx.CriticalKV(budget=b), lambda r: kvpress.CriticalKVPress(kvpress.SnapKVPress(r, window_size=32))
    ),
    "criticalkv, expected_attention": Pair(
        lambda b: nx.CriticalKV(budget=b, base=nx.ExpectedAttention(n_queries=512, use_value_norm=False)),
        lambda r: kvpress.CriticalKVPress(kvpress.ExpectedAttentionPress(r, use_vnorm=False)),
    ),
}


def kept_here(model: torch.nn.Module, ids: Tensor, policy: Any) -> list[list[set[int]]]:
    """Positions by layer and kv head."""
    with torch.no_grad(), nx.pruned(model, policy, schedule="post_prefill", protect_recent=0) as memory:
        cache = memory.cache()
        model(ids, past_key_values=cache)
        return [[{p for p in head.tolist() if p >= 0} for head in layer.index[0]] for layer in cache.layers]


def kept_there(model: Any, ids: Tensor, press: Any) -> list[list[set[int]]]:
    """Positions by layer and kv head: those whose keys `compress` returns."""
    found: list[list[set[int]]] = []

    def hook(module: torch.nn.Module, inputs: Any, kwargs: dict[str, Any], output: Any) -> None:
        layer = cache.layers[module.layer_idx]  # type: ignore[index]
        keys, _ = press.compress(module, kwargs["hidden_states"], layer.keys, layer.values, None, kwargs)
        same = (keys[0][:, :, None] == layer.keys[0][:, None]).all(-1)  # (H, kept, T)
        found.append([set(head.nonzero()[:, 1].tolist()) for head in same])

    press.post_init_from_model(model)
    handles = []
    for layer in model.model.layers:
        layer.self_attn.rotary_emb = model.model.rotary_emb  # where presses look for it
        handles.append(layer.self_attn.register_forward_hook(hook, with_kwargs=True))
    cache = DynamicCache(config=model.config)
    with torch.no_grad():
        model(ids, past_key_values=cache)
    for layer, handle in zip(model.model.layers, handles, strict=True):
        handle.remove()
        del layer.self_attn.rotary_emb
    return found


def agreement(here: list[list[set[int]]], there: list[list[set[int]]]) -> float:
    """Share of what is kept there that is kept here, all layers and heads together."""
    pairs = [(a, b) for x, y in zip(here, there, strict=True) for a, b in zip(x, y, strict=True)]
    return sum(len(a & b) for a, b in pairs) / sum(len(b) for _, b in pairs)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument(
        "--layers", type=int, default=6, help="lowest layers that are looked at; the others are left out"
    )
    parser.add_argument("--only", nargs="*", default=list(PAIRS), choices=list(PAIRS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = load_language_model(options.model, dtype="float32")
    loaded.model.model.layers = loaded.model.model.layers[: options.layers]
    loaded.model.config.num_hidden_layers = len(loaded.model.model.layers)
    text = loaded.tokenizer(Path(statistics.__file__).read_text(), return_tensors="pt").input_ids
    table = Table("method", "tokens", *(f"{budget:g} of the cache" for budget in BUDGETS))
    for name in options.only:
        pair = PAIRS[name]
        ids = text[:, : pair.tokens]
        shares = []
        for budget in BUDGETS:
            torch.manual_seed(0)  # for presses that draw numbers
            there = kept_there(loaded.model, ids, pair.theirs(1 - budget))
            shares.append(agreement(kept_here(loaded.model, ids, pair.ours(budget)), there))
        table.add_row(name, str(pair.tokens), *(f"{share:.3f}" for share in shares))
    Console().print(table)


if __name__ == "__main__":
    main()
