"""Draws what `engine.py` measured: `python benchmarks/plot_engine.py benchmarks/results/engine-float32.json`."""

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("prefill_ratio", "prefill CPU time / bare model"),
    ("decode_ratio", "decoding CPU time / bare model"),
    ("peak_mib_above_bare", "peak memory above bare model (MiB)"),
)


def draw(path: Path) -> Path:
    """One panel per figure, one line per policy; returns the PNG's path (an SVG lies beside it)."""
    result = json.loads(path.read_text())
    lengths = sorted(int(length) for length in result["lengths"])
    names = [n for n in result["lengths"][str(lengths[0])]["rows"] if not n.startswith("bare")]
    figure, axes = plt.subplots(1, len(PANELS), figsize=(15, 5), layout="constrained")
    colours = plt.colormaps["tab20"]
    for axis, (key, title) in zip(axes, PANELS, strict=True):
        for index, name in enumerate(names):
            rows = [result["lengths"][str(length)]["rows"].get(name) for length in lengths]
            points = [(length, row[key]) for length, row in zip(lengths, rows, strict=True) if row]
            thick = name.startswith("namm")
            axis.plot(
                *zip(*points, strict=True),
                marker="o",
                ms=3,
                lw=2.5 if thick else 1,
                color=colours(index % 20),
                label=name,
            )
        axis.axhline(0 if "peak" in key else 1, color="black", lw=0.8, ls=":")
        axis.set_xscale("log", base=2)
        axis.set_xticks(lengths, [f"{length / 1000:.3g}k" for length in lengths])
        axis.set_xlabel("tokens")
        axis.set_title(title)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    machine = result["machine"]
    figure.suptitle(
        f"{result['model']}, {result['dtype']}, update every {result['update_every']}, budget {result['budget']:.0%}, "
        f"{machine['processor']}, {machine['threads']} thread",
        fontsize=10,
    )
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix), dpi=130)
    plt.close(figure)
    return path.with_suffix(".png")


if __name__ == "__main__":
    print(draw(Path(sys.argv[1])))
