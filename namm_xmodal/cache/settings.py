"""How a cache is pruned."""

from dataclasses import dataclass, replace

from namm_xmodal.cache.clock import Clock
from namm_xmodal.cache.switch import Switch
from namm_xmodal.policies.protocol import Policy
from namm_xmodal.types import Selection


@dataclass(frozen=True)
class Settings:
    """How a cache is pruned.

    Attributes:
        policy: Scores tokens and chooses which to keep; None keeps everything.
        clock: When to update.
        protect_first: A row's first tokens, which always stay.
        protect_recent: A row's newest tokens, which always stay.
        selection: See `namm_xmodal.types.Selection`.
        attention: `sdpa` delegates every output to transformers' own sdpa and computes observed rows beside it; `tiled`
            computes each row once for both; `auto` is `tiled` for half-precision models and `sdpa` for float32 and
            float64.
        tile: Queries whose attention rows are held at once.
        switch: Of the model; None for a cache that no model calls.
        pruned_by: What pruned a cache from which nothing more is evicted; empty for all others.
    """

    policy: Policy | None
    clock: Clock
    protect_first: int = 0
    protect_recent: int = 1
    selection: Selection = "ragged"
    attention: str = "auto"
    tile: int = 64
    switch: Switch | None = None
    pruned_by: str = ""

    @property
    def name(self) -> str:
        """The policy that prunes, or has pruned, for reports."""
        return self.pruned_by or ("full cache" if self.policy is None else type(self.policy).__name__)

    def frozen(self, by: str = "") -> "Settings":
        """The same settings for a cache from which nothing more is evicted.

        Args:
            by: What has pruned it; the policy if empty.
        """
        return replace(self, policy=None, pruned_by=by or (self.pruned_by if self.policy is None else self.name))
