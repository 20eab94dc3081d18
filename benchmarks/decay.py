"""How fast a NAMM should forget attention: policies that differ in nothing else, and their scores by depth as a picture.

python benchmarks/decay.py make            # eight policies in runs/decay
namm-xmodal eval docs/results/decay/config.yaml
python benchmarks/decay.py plot results/decay
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from namm_xmodal import Namm
from namm_xmodal.policies.namm import linear_start, make_features
from namm_xmodal.report.figure import PAPER
from namm_xmodal.report.heat_map import Panel, Side, draw_panels
from namm_xmodal.report.picture import save_picture
from namm_xmodal.report.read import read_results

DECAYS = ("0.9", "0.99", "0.999", "0.9999")
WEIGHTS = {"mean_attention": 1.0, "key_novelty": 1.0, "nearest_key": -1.0, "value_norm": 1.0}
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "decay.png"
NAMES = {"full": "full cache", "keydiff": "KeyDiff", "random": "random", "recency": "recency"}


def make(folder: Path) -> None:
    """Mean attention alone, and `namm-universal`, with each decay; existing folders are refused by `save_pretrained`."""
    for decay in DECAYS:
        attention = {"channel": "mean_attention", "standardise": "context", "ema_coefficient": float(decay)}
        for name, others in {"attention": [], "universal": list(WEIGHTS)[1:]}.items():
            template = Namm.untrained("zeros", features=make_features([attention, *others]))
            weights = {each: WEIGHTS[each] for each in ["mean_attention", *others]}
            vector = torch.tensor(linear_start(template, weights, sigma=0.0, seed=0), dtype=torch.float32)
            policy = replace(template, parameters=vector[None], threshold=float("-inf"), max_tokens=0.25)
            policy.save_pretrained(folder / f"{name}-{decay}")
            print(folder / f"{name}-{decay}")


def plot(folder: Path, path: Path) -> Path:
    """Mean answer probability of each policy at each depth.

    Args:
        folder: Of the results.
        path: The picture.
    """
    names = dict(NAMES)
    for kind, words in (("universal", "namm-universal"), ("attention", "attention alone")):
        names |= {f"{kind}_{decay.replace('0.', 'd')}": f"{words}, decay {decay}" for decay in DECAYS}
    scores: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in read_results(folder).records:
        scores[record.policy][float(record.tags["depth"])].append(record.scores["answer_probability"])
    shown = [name for name in names if name in scores]
    depths = sorted(scores["full"])
    means = tuple(tuple(float(np.mean(scores[name][depth])) for depth in depths) for name in shown)
    words = tuple(tuple(f"{names[name]}, {depth:.0%}" for depth in depths) for name in shown)
    rows = Side("", tuple(names[name] for name in shown))
    columns = Side("depth of the fact in 2,048 tokens", tuple(f"{depth:.0%}" for depth in depths))
    title = f"a third of the cache, n = {len(scores['full'][depths[0]])} a cell"
    panel = Panel(title, rows, columns, means, words)
    drawing, _ = draw_panels([panel], 1, 6.2, 0.36 * len(shown) + 1.2, "answer probability", numbers=True)
    save_picture(drawing, path, facecolor=PAPER)
    return path


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make", help="write the policies")
    making.add_argument("folder", nargs="?", type=Path, default=Path("runs/decay"))
    drawing = commands.add_parser("plot", help="draw the picture")
    drawing.add_argument("folder", type=Path, help="of the results")
    drawing.add_argument("--output", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    if arguments.command == "make":
        make(arguments.folder)
    else:
        print(plot(arguments.folder, arguments.output))


if __name__ == "__main__":
    main()
