"""The longest common subsequence of two lists of words, and the way on which it is found."""

from collections.abc import Sequence
from typing import NamedTuple


class CommonSubsequence(NamedTuple):
    """One of the longest common subsequences.

    Attributes:
        pairs: Indices of equal words in the two lists, rising.
        steps: Words of either list that were passed, an equal pair as one, until one list was used up.
    """

    pairs: list[tuple[int, int]]
    steps: int


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> CommonSubsequence:
    """Finds it from the ends; where both ways are as long, a word of `other` is passed first. O(len(one) * len(other))."""
    table = [[0] * (len(other) + 1)]  # table[i][j]: length for the first i and the first j words
    for word in one:
        above, row = table[-1], [0]
        for j, another in enumerate(other):
            row.append(above[j] + 1 if word == another else max(above[j + 1], row[j]))
        table.append(row)
    i, j, steps = len(one), len(other), 0
    pairs = []
    while i and j:
        if one[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
        steps += 1
    return CommonSubsequence(pairs[::-1], steps)
