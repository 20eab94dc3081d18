"""Numbers in sentences."""


def counted(count: int, noun: str, several: str = "") -> str:
    """`1 sample`, `12,000 samples`: a number with its noun; `several` is its plural where that takes more than an s."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"
