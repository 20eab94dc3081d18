"""Standardisation over the live tokens of a head, which needs no stored statistics of a model."""

from torch import Tensor

LARGEST = 6.0
"""Of a standardised number: one outlier among thousands of tokens would drown the others in the scorer."""

_SMALLEST_DEVIATION = 1e-4  # added, so that a head whose tokens are all alike gives zeros and not amplified rounding
_FAINT = 1e-6


def in_context(numbers: Tensor, live: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over the live tokens of each batch row, head and number, clipped at plus and minus 6.

    Args:
        numbers: (B, H, C, S).
        live: (B, H, S) bool.

    Returns:
        (B, H, C, S), 0 in dead slots.
    """
    dead = ~live[:, :, None]
    count = live.sum(-1)[:, :, None, None].clamp(min=1)
    mean = numbers.masked_fill(dead, 0.0).sum(-1, keepdim=True) / count
    centred = (numbers - mean).masked_fill(dead, 0.0)
    deviation = (centred.square().sum(-1, keepdim=True) / count).sqrt()
    return (centred / (deviation + _SMALLEST_DEVIATION)).clamp(-LARGEST, LARGEST)


def orders_of_magnitude(attention: Tensor) -> Tensor:
    """Log(attention + 1e-6): few tokens get most of it, and the deviation of its raw values would be that of those few."""
    return (attention + _FAINT).log()
