"""Where a NAMM carries over to, by architecture: layers, kv heads, head size, group size and windows of each model.

    namm-xmodal eval transfer/offline
    namm-xmodal eval language/heads_gemma3
    namm-xmodal eval docs/results/heads/qwen/config.yaml
    python benchmarks/architecture.py results/transfer results/heads_gemma3 results/qwen

Every section of the folders is one model. Scores over the full cache's and sizes are those of the overview of the report's
page. Writes `results/architecture.json` and `architecture.png`.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from machine import describe_machine
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.plan import SectionPlan
from namm_xmodal.report.page.headline import overview
from namm_xmodal.report.read import read_results
from namm_xmodal.report.summary import summarise

RESULTS = Path(__file__).parent / "results"
POLICIES = ("namm", "universal", "geometry", "keydiff", "random")
COLOURS = {"namm": "#D55E00", "universal": "#0072B2"}  # Okabe and Ito


@dataclass(frozen=True)
class Architecture:
    """What a decoder is made of.

    Attributes:
        layers: With attention.
        kv_heads: Of each layer.
        head_size: Entries of a key.
        group: Query heads that share a kv head.
        windowed: Share of the layers that see a sliding window only.
        positions: How they enter, "rotary" or "learned".
    """

    layers: int
    kv_heads: int
    head_size: int
    group: int
    windowed: float
    positions: str


def of_model(model: torch.nn.Module) -> Architecture:
    """Reads a decoder's configuration."""
    config: Any = model.config.get_text_config(decoder=True)  # type: ignore[operator, union-attr]
    heads = config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    kinds = getattr(config, "layer_types", None) or []
    rotary = getattr(config, "rope_parameters", None) or getattr(config, "rope_theta", None)
    return Architecture(
        layers=config.num_hidden_layers,
        kv_heads=kv_heads,
        head_size=getattr(config, "head_dim", None) or config.hidden_size // heads,
        group=heads // kv_heads,
        windowed=sum(kind == "sliding_attention" for kind in kinds) / config.num_hidden_layers,
        positions="rotary" if rotary else "learned",
    )


def of_section(plan: SectionPlan) -> Architecture:
    """Loads a section's model; the first of a family of agents."""
    section: Any = plan.section
    if plan.modality.name == "language":
        from namm_xmodal.language.models import load_language_model

        return of_model(load_language_model(section.model, dtype=section.dtype, device="cpu").model)
    if plan.modality.name == "video":
        from namm_xmodal.video.models import load_video_model

        return of_model(load_video_model(section.model, dtype=section.dtype, device="cpu").model)
    from namm_xmodal.modalities.rl.loaded_agents import load_agents
    from namm_xmodal.modalities.rl.setups import find_setups

    return of_model(load_agents(section, find_setups(section))[0].agent_model.model)


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each model: what it is made of, and what of the full cache's score is left."""
    shown = Table(title="score over the full cache's (kept), at about equal sizes")
    for column in ("model", "layers", "kv heads", "head size", "group", "windows", "positions", *POLICIES):
        shown.add_column(column)
    for row in rows:
        shape = row["architecture"]
        cells = [
            f"{each['relative']:.0%} ({each['kept']:.0%})" if each else ""
            for each in (row["policies"].get(name) for name in POLICIES)
        ]
        plain = [str(shape[key]) for key in ("layers", "kv_heads", "head_size", "group")]
        shown.add_row(row["model"], *plain, f"{shape['windowed']:.0%}", shape["positions"], *cells)
    return shown


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Both NAMMs minus KeyDiff, in shares of the full cache's score, against each number of the architecture."""
    axes_of = {
        "layers": "layers",
        "kv_heads": "kv heads",
        "head_size": "head size",
        "group": "query heads for each kv head",
    }
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (key, label) in zip(figure.subplots(2, 2, sharey=True).flat, axes_of.items(), strict=True):
        for name, colour in COLOURS.items():
            points = [
                (row["architecture"][key], row["policies"][name]["relative"] - row["policies"]["keydiff"]["relative"])
                for row in rows
                if name in row["policies"]
            ]
            axis.plot(*zip(*points, strict=True), "o", color=colour, label=f"{name} minus KeyDiff", alpha=0.8)
        axis.axhline(0, color="0.6", linewidth=1)
        axis.set_xscale("log", base=2)
        ticks = sorted({row["architecture"][key] for row in rows})
        axis.set_xticks(ticks, [str(tick) for tick in ticks])
        axis.minorticks_off()
        axis.set_xlabel(label)
        axis.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8)
    figure.supylabel("share of the full cache's score", fontsize=10)
    figure.suptitle(f"{len(rows)} models, at about equal sizes", fontsize=10)
    figure.savefig(path, dpi=150)
    return path


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "folders", nargs="+", type=Path, help="of results, with full, keydiff and NAMMs among the policies"
    )
    parser.add_argument("--output", type=Path, default=RESULTS / "architecture.json")
    arguments = parser.parse_args()
    rows = []
    for folder in arguments.folders:
        try:
            results = read_results(folder)
        except NammError as error:
            raise SystemExit(str(error)) from None
        missing = [name for name in ("full", "keydiff") if name not in {each.policy for each in results.records}]
        if missing or not {each.policy for each in results.records} & COLOURS.keys():
            raise SystemExit(f"{folder}: expected full, keydiff and one of {', '.join(COLOURS)} among its policies")
        shown = overview(summarise(results.records, results.plan, results.config.run.bootstrap))
        for plan in results.plan:
            model = Path(str(plan.section.model)).name  # type: ignore[attr-defined]
            name = model if plan.name.count("@") == 0 else f"{model} ({plan.name.partition('@')[2]})"
            rows.append(
                {
                    "model": name,
                    "section": plan.name,
                    "architecture": asdict(of_section(plan)),
                    "policies": {
                        name: {"relative": shown[name][plan.name].relative, "kept": shown[name][plan.name].kept}
                        for name in POLICIES
                        if plan.name in shown.get(name, {})
                    },
                }
            )
    Console(width=200).print(table(rows))
    arguments.output.write_text(json.dumps({"machine": describe_machine(), "models": rows}, indent=1) + "\n")
    print(plot(rows, arguments.output.with_suffix(".png")))


if __name__ == "__main__":
    main()
