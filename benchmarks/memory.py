"""Allocated bytes of every policy's cache, as a share of a full one: `python benchmarks/memory.py --output FILE.json`.

Two settings, bfloat16, weights drawn at random: heads and sizes of SmolLM2-135M at 1,024 tokens with an update every 128,
and of a layer of Llama-3-8B at 2,048 tokens with an update every 512. Query and key weights are scaled up, so that
attention is sharp and heads differ; `by_head` gets shares from 0.02 to 6.6 times the budget, as they were found for
SmolLM2. Bytes are read right after the last update of the prompt, and again after 40 decoded tokens.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from measure import at_budget
from transformers import LlamaConfig, LlamaForCausalLM

from namm_xmodal import AdaKV, Namm, PyramidKV, SnapKV, pruned
from namm_xmodal.policies.by_head import ByHead
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.table import POLICIES

SETTINGS = {
    "smollm2": {"heads": 9, "kv_heads": 3, "head_dim": 64, "layers": 4, "tokens": 1024, "every": 128},
    "llama3_8b": {"heads": 32, "kv_heads": 8, "head_dim": 128, "layers": 1, "tokens": 2048, "every": 512},
}
BUDGETS = (0.25, 0.5)
DECODED = 40


def model_of(setting: dict[str, int]) -> torch.nn.Module:
    """A random model with the heads of a setting."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=8 * setting["heads"],
            intermediate_size=64,
            num_hidden_layers=setting["layers"],
            num_attention_heads=setting["heads"],
            num_key_value_heads=setting["kv_heads"],
            head_dim=setting["head_dim"],
            max_position_embeddings=4096,
        )
    )
    for name, parameter in model.named_parameters():
        if "q_proj" in name or "k_proj" in name:
            parameter.data.mul_(8)
    return model.to(torch.bfloat16).eval()


def policies(budget: float, setting: dict[str, int]) -> dict[str, Any]:
    """Every policy of the table at a budget; a NAMM with random parameters keeps tokens above a threshold and a cap."""
    made: dict[str, Any] = {
        "adakv": AdaKV(base=SnapKV(budget=budget), budget=budget),
        "pyramidkv": PyramidKV(base=SnapKV(budget=budget), budget=budget),
        "namm": Namm.untrained("random", threshold=-1e9, max_tokens=budget),
    }
    shares = torch.logspace(-1.7, 0.82, setting["layers"] * setting["kv_heads"], dtype=torch.float64)
    shares = shares[torch.randperm(len(shares), generator=torch.Generator().manual_seed(0))]
    made["by_head"] = ByHead(
        budget=budget, shares=HeadShares.of(shares.view(setting["layers"], -1), "drawn"), base=POLICIES["keydiff"]()
    )
    for name, kind in POLICIES.items():
        if name not in made and name not in ("full", "fastv"):  # fastv: for `post_prefill` alone, and not of all layers
            made[name] = at_budget(kind, budget)
    return {name: made[name] for name in POLICIES if name in made}


def measure(model: torch.nn.Module, policy: Any, setting: dict[str, int]) -> dict[str, Any]:
    """Shares of a full cache's bytes after the prompt and after decoding."""
    ids = torch.randint(0, 64, (1, setting["tokens"] + DECODED), generator=torch.Generator().manual_seed(1))
    found: dict[str, Any] = {}
    with torch.no_grad(), pruned(model, policy, update_every=setting["every"]) as memory:
        cache = memory.cache()
        model(ids[:, : setting["tokens"]], past_key_values=cache)
        found["prompt"] = shares_of(memory.report())
        for at in range(setting["tokens"], setting["tokens"] + DECODED):
            model(ids[:, at : at + 1], past_key_values=cache)
        found["decoded"] = shares_of(memory.report())
    return found


def shares_of(report: Any) -> dict[str, float]:
    """Bytes over those of a full cache."""
    state = sum(layer.state_bytes for layer in report.layers)  # older commits have no sum
    parts = {"live": report.live_bytes, "allocated": report.allocated_bytes, "state": state}
    return {name: round(count / report.full_bytes, 4) for name, count in parts.items()}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--settings", nargs="+", default=sorted(SETTINGS), choices=sorted(SETTINGS))
    known = sorted(set(POLICIES) - {"full", "fastv"})
    parser.add_argument("--policies", nargs="+", default=None, choices=known, help="every one by default")
    parser.add_argument("--output", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    for name in arguments.settings:
        model = model_of(SETTINGS[name])
        for budget in BUDGETS:
            for label, policy in policies(budget, SETTINGS[name]).items():
                if arguments.policies and label not in arguments.policies:
                    continue
                found = measure(model, policy, SETTINGS[name])
                result.setdefault(name, {}).setdefault(str(budget), {})[label] = found
                print(name, budget, f"{label:20}", *(f"{when} {parts}" for when, parts in found.items()), flush=True)
                if arguments.output is not None:
                    arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
