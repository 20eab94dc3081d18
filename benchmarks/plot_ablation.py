"""Draws `benchmarks/results/ablation.json`: what each change costs or gains, with its interval.

python benchmarks/plot_ablation.py
"""

import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

RESULTS = Path(__file__).parent / "results"
COLOURS = {"network": "#0072B2", "strategy": "#D55E00", "size": "#009E73"}  # Okabe and Ito


def plot(result: dict[str, Any], path: Path) -> Path:
    """A line per variant: its paired difference to the first, 95% interval, and the score and size behind it.

    Args:
        result: As `ablation.py` writes it.
        path: The picture; its suffix decides the format.
    """
    first, *others = result["variants"]
    scores = result["scores"]
    figure = Figure(figsize=(8.6, 0.34 * len(others) + 1.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for row, name in enumerate(others):
        each, colour = scores[name]["all"], COLOURS[result["variants"][name][0]]
        axis.plot([each["difference_low"], each["difference_high"]], [row, row], color=colour, linewidth=2)
        axis.plot(each["difference"], row, "o", color=colour, markersize=5)
        note = f"{each['mean']:.2f} at {each['kept']:.0%}"
        axis.annotate(note, (1.01, row), xycoords=("axes fraction", "data"), fontsize=8, va="center")
    base = scores[first]["all"]
    axis.axvline(0, color="0.6", linewidth=1)
    axis.set_yticks(range(len(others)), [f"{name}  ({result['variants'][name][0]})" for name in others], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel(f"answer probability minus that of {first} ({base['mean']:.2f} at {base['kept']:.0%}), paired")
    axis.set_title(f"n = {base['n']} texts, a quarter of the cache after each update", fontsize=10)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return path


if __name__ == "__main__":
    print(plot(json.loads((RESULTS / "ablation.json").read_text()), RESULTS / "ablation.png"))
