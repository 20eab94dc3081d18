"""How much of what a model attends to later a policy would keep: its ranking alone, on other stretches of the texts.

    python benchmarks/later_attention.py runs/by_head/policy runs/by_model/policy

The unpruned model reads texts that are repeated after themselves, as in `configs/train/by_head.yaml` with another seed.
Of each head and update, the best 12, 25 and 50% of the cached tokens by a policy's scores are compared with all of them:
the share of the attention that they receive later (the largest attention of any later query, summed over tokens).
Recency, random and the best possible order stand beside them. Policies must have the same features. Prints a table;
nothing is pruned.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from namm_xmodal import Namm
from namm_xmodal.config.train import load_train_config
from namm_xmodal.gradient.sets import sets_of
from namm_xmodal.traces.collect import collect, read_all
from namm_xmodal.traces.shards import Traces

SHARES = (0.12, 0.25, 0.5)


def kept(scores: Tensor, future: Tensor, share: float) -> Tensor:
    """(N,) share of the later attention (N, S) that the best tokens by (N, S) scores receive."""
    best = scores.topk(max(1, round(share * scores.shape[-1])), dim=-1).indices
    return future.gather(-1, best).sum(-1) / future.sum(-1).clamp(min=1e-9)


def main() -> None:
    """Records traces of held-out texts and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("policies", nargs="+", type=Path)
    parser.add_argument("--config", default="train/by_head", help="Whose traces are recorded, with another seed.")
    parser.add_argument("--texts", type=int, default=8)
    parser.add_argument("--seed", type=int, default=90)
    options = parser.parse_args()
    policies = {str(path): Namm.from_pretrained(path) for path in options.policies}
    first = next(iter(policies.values()))
    sources = load_train_config(options.config).sources()
    sources = {
        name: each.model_copy(update={"seed": options.seed, "count": options.texts}) for name, each in sources.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        collect(sources, first, Path(folder), lambda done, total, what: print(f"{what}: {done} of {total}"))
        traces = read_all(sources, first, Path(folder))
    rows: dict[str, list[list[Tensor]]] = {}
    generator = torch.Generator().manual_seed(0)
    for each in (each for parts in traces.values() for each in parts):
        slots = torch.arange(each.seen).float().expand(each.future.shape)
        orders = {
            "best possible": each.future,
            "recency": slots,
            "random": torch.rand(slots.shape, generator=generator),
        }
        for name, policy in policies.items():
            orders[name] = scores_of(policy, each, sets_of(traces, policy.sharing).of(each))
        for name, scores in orders.items():
            rows.setdefault(name, []).append([kept(scores, each.future, share) for share in SHARES])
    table = Table("order", *(f"best {share:.0%}" for share in SHARES))
    for name, parts in rows.items():
        means = [torch.cat([part[place] for part in parts]).mean() for place in range(len(SHARES))]
        table.add_row(name, *(f"{float(mean):.3f}" for mean in means))
    console = Console()
    console.print(table)
    heads = sum(len(each.future) for parts in traces.values() for each in parts)
    console.print(f"mean over {heads} heads and updates of {options.texts} texts, seed {options.seed}")


@torch.no_grad()
def scores_of(policy: Namm, traces: Traces, which: Tensor) -> Tensor:
    """(N, S) scores, each head by its own vector."""
    live = torch.ones(1, *traces.future.shape, dtype=torch.bool)
    return policy.score_constants(traces.constants[None], live, policy.parameters[which][None])[0]


if __name__ == "__main__":
    main()
