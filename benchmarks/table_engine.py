"""Prints what `engine.py` measured as a Markdown table: `python benchmarks/table_engine.py FILE.json`."""

import json
import sys
from pathlib import Path


def table(path: Path) -> str:
    """One row per policy, one column per length: prefill ratio, decode ratio, peak memory above the bare model."""
    result = json.loads(path.read_text())
    lengths = sorted(result["lengths"], key=int)
    names = list(dict.fromkeys(name for length in lengths for name in result["lengths"][length]["rows"]))
    lines = [
        "| policy | " + " | ".join(f"{int(length):,}" for length in lengths) + " |",
        "|---|" + "---|" * len(lengths),
    ]
    for name in names:
        cells = []
        for length in lengths:
            row = result["lengths"][length]["rows"].get(name)
            cells.append(
                f"{row['prefill_ratio']:.2f} / {row['decode_ratio']:.2f} / {row['peak_mib_above_bare']:+.0f} (n={row['n']})"
                if row
                else ""
            )
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    limit = [f"{result['lengths'][length].get('published_code_mib', 0) / 10:.0f}" for length in lengths]
    lines.append("| a tenth of the published code's memory (MiB) | " + " | ".join(limit) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(Path(sys.argv[1])))
