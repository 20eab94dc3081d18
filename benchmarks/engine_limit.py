"""How fast a NAMM's prefill could be at best, from what `engine.py` measured of KeyDiff in the same run.

    python benchmarks/engine_limit.py benchmarks/results/engine-bfloat16-quiet.json

Ratios to the bare model's prefill. What is neither attention, scoring nor moving takes what it takes under KeyDiff.
Attention over the pairs of tokens that are left goes at the bare model's own speed. The spectrum (124 operations for each
attention value of a kv head) and the published scorer (128 for each pair that it looks at) are float32 products at
`--rate`. Everything else, exponentials and memory among it, is free.
"""

import argparse
import json
from pathlib import Path

SPECTRUM, SCORER = 124, 128
LAYERS, HEADS = 30, 3  # SmolLM2-135M


def limit(length: int, kept: float, every: int, seconds: float, outside: float, rate: float) -> float:
    """The least ratio.

    Args:
        length: Tokens of the prompt.
        kept: Share of the tokens seen that an update leaves.
        every: Tokens between updates.
        seconds: Of the bare prefill.
        outside: Share of it that is no attention.
        rate: Operations a second.
    """
    held = [kept * start for start in range(0, length, every)]  # at the start of each block
    pairs = sum(every * (before + every / 2) for before in held)
    scored = sum((before + every) ** 2 / 2 for before in held)
    operations = LAYERS * HEADS * (SPECTRUM * pairs + SCORER * scored)
    return outside + (1 - outside) * pairs / (length**2 / 2) + operations / rate / seconds


def main() -> None:
    """Prints a line for each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--rate", type=float, default=80e9, help="float32 operations a second of a large matrix product"
    )
    arguments = parser.parse_args()
    result = json.loads(arguments.file.read_text())
    for length, summary in result["lengths"].items():
        bare, keydiff = summary["rows"][summary["bare"]], summary["rows"]["keydiff"]
        outside = keydiff["prefill_ratio"] * (1 - sum(keydiff["share_of_prefill"].values()))
        found = [
            limit(int(length), kept, result["update_every"], bare["prefill_cpu_seconds"], outside, arguments.rate)
            for kept in (result["budget"], 1.0)
        ]
        print(f"{length}: outside attention {outside:.2f}; a quarter {found[0]:.2f}, everything {found[1]:.2f}")


if __name__ == "__main__":
    main()
