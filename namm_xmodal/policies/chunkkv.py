"""ChunkKV."""

from dataclasses import dataclass, field, replace

from torch import Tensor

from namm_xmodal.errors import ConfigError
from namm_xmodal.policies.budgeted import Budgeted, only_scores
from namm_xmodal.policies.groups import group_means
from namm_xmodal.policies.pins import check_count
from namm_xmodal.policies.protocol import Observation
from namm_xmodal.policies.snapkv import SnapKV
from namm_xmodal.policies.wrapper import PassesOn


@dataclass(frozen=True, kw_only=True)
class ChunkKV(PassesOn, Budgeted):
    """Keeps whole passages: all tokens of a chunk share one score, in all heads of a layer (arXiv 2502.00299).

    score(s) = mean of the scores of `base` over the cached tokens of the chunk of s and over heads; a token that `base`
    pins stays by itself, and does not lift its chunk.

    Deviates: chunks are counted by position in the text, so a chunk that was cut stays one. The last chunk that fits is
    cut, its newest tokens stay, so that the budget is used up; the published code keeps whole ones. That every few layers
    share one choice, which the paper offers for speed, is left out.

    Attributes:
        base: Any budgeted policy that only scores; takes this policy's budget instead of its own.
        chunk: Tokens of a chunk; 10 in the paper, 20 in kvpress.
    """

    base: Budgeted = field(default_factory=SnapKV)
    chunk: int = 10

    def __post_init__(self) -> None:
        """Refuses a base that chooses by itself, and an empty chunk; hands the budget on."""
        super().__post_init__()
        check_count("chunk", self.chunk, 1)
        if not only_scores(self.base):
            raise ConfigError(
                f"base={type(self.base).__name__}: expected a budgeted policy that only scores, such as SnapKV "
                "(for a layer schedule write PyramidKV(base=ChunkKV(...)))"
            )
        object.__setattr__(self, "base", replace(self.base, budget=self.budget))

    @property
    def window(self) -> int:
        """Newest tokens that `base` pins."""
        return int(getattr(self.base, "window", 0))

    def score(self, observation: Observation) -> Tensor:
        """Means over chunks, what `base` pins above all: (B, H, S)."""
        scores = self.base.score(observation)
        pinned = scores.isposinf()
        means = group_means(scores, observation.live & ~pinned, observation, self.chunk, of_layer=True)
        return means.masked_fill(pinned, float("inf"))
