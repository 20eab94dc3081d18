"""What is counted while the harness runs: how much of the prompts was kept, and what must be said beside the scores."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from namm_xmodal.memory import MemoryReport

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """Counts of all prompts that were read.

    Attributes:
        prompts: How many; one that several requests share is one.
        kept: Sum of the shares of their tokens that were left when the answer began.
        untouched: Prompts of which nothing had been evicted then.
        truncated: Prompts that lost their beginning.
        cut: Most tokens that one of them lost.
    """

    prompts: int = 0
    kept: float = 0.0
    untouched: int = 0
    truncated: int = 0
    cut: int = 0

    def read(self, report: MemoryReport) -> None:
        """Counts prompts of equal length after they were read."""
        rows = len(report.seen)
        self.prompts += rows
        self.kept += rows * report.kept_fraction
        for row, seen in enumerate(report.seen):
            self.untouched += all(count == seen for layer in report.layers for count in layer.kept[row])

    def shortened(self, whole: Sequence[int], left: Sequence[int]) -> None:
        """Counts a prompt that may have lost its beginning."""
        lost = len(whole) - len(left)
        self.truncated += lost > 0
        self.cut = max(self.cut, lost)

    def warn(self, before: "Tally", max_length: int | None, *, full: bool, update_every: int | None) -> None:
        """Says what happened since an earlier count that a reader of the scores has to know.

        Args:
            before: The earlier count.
            max_length: Most tokens of a prompt and its answer.
            full: Whether nothing was to be evicted.
            update_every: Tokens between updates; None if the cache is pruned after the prompt.
        """
        truncated, prompts = self.truncated - before.truncated, self.prompts - before.prompts
        if truncated:
            log.warning(
                "%d requests were longer than max_length=%s and lost their beginning, %d tokens at most",
                truncated,
                max_length,
                self.cut,
            )
        untouched = self.untouched - before.untouched
        if untouched and not full:
            why = f", most likely since they are shorter than update_every={update_every}" if update_every else ""
            log.warning("nothing was evicted from %d of %d prompts%s", untouched, prompts, why)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for the harness's results."""
        return {
            "prompts": self.prompts,
            "cache_kept": self.kept / self.prompts if self.prompts else None,
            "prompts_untouched": self.untouched,
            "requests_truncated": self.truncated,
        }
