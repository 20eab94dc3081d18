"""Numbers in sentences."""


def counted(count: int, noun: str) -> str:
    """`1 sample`, `2 samples`, `12,000 samples`: a number with its noun, which takes an s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
