"""StreamingLLM."""

from dataclasses import dataclass

from torch import Tensor

from namm_xmodal.policies.budgeted import Budgeted
from namm_xmodal.policies.pins import check_count, check_pins, pin
from namm_xmodal.policies.protocol import Observation


@dataclass(frozen=True, kw_only=True)
class StreamingLLM(Budgeted):
    """Keeps the first tokens, which gather attention as sinks, and the newest ones (arXiv 2309.17453).

    score(s) = infinity for the first `num_sinks` tokens, else the position of s.

    Deviates: the paper numbers positions anew inside the cache (keys are stored before rotation); here every token keeps
    the position it had in the text, because the cache belongs to the model, which rotates keys before it stores them.
    Texts longer than the model was trained on therefore stay as hard as they are for the model itself.

    Attributes:
        num_sinks: First tokens that always stay; 4 in the paper.
    """

    num_sinks: int = 4

    def __post_init__(self) -> None:
        """Refuses a negative number of sinks."""
        super().__post_init__()
        check_count("num_sinks", self.num_sinks, 0)

    def score(self, observation: Observation) -> Tensor:
        """Positions, sinks above all: (B, H, S)."""
        return pin(observation.positions.float(), observation, first=self.num_sinks)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """A budget in tokens must hold the sinks beside the protected tokens."""
        super().check_clock(update_every, protect_first, protect_recent)
        what = f"num_sinks={self.num_sinks}"
        check_pins(self.budget, (protect_first, protect_recent), first=self.num_sinks, what=what)
