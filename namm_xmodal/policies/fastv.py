"""FastV."""

from dataclasses import dataclass, fields

from torch import Tensor

from namm_xmodal.errors import ClockError, ConfigError
from namm_xmodal.policies.pins import check_count, pin
from namm_xmodal.policies.protocol import Candidates, Observation
from namm_xmodal.policies.selection import check_budget
from namm_xmodal.policies.tova import TOVA
from namm_xmodal.policies.wrapper import PassesOn
from namm_xmodal.types import Budget, LayerShape, plain


@dataclass(frozen=True, kw_only=True)
class FastV(PassesOn):
    """Keeps, after layer `layer`, what the prompt's last token attends to most in that layer (arXiv 2403.06764).

    score(s) = mean over the heads of layer `layer` of p[last token, s], as in the published code. One choice for all
    heads of all later layers, made in the forward that reads the prompt; these layers never see a token that was not
    chosen, in the prompt either. Layers up to `layer` keep everything, so the cache as a whole is larger than `budget`.

    Exact: what is computed of kept tokens is what it would be if the others had left the hidden states after `layer`,
    as in the paper. Deviates: the others are still computed, and read by nobody, as in the published code that masks
    them; so the cache shrinks, and the time of reading the prompt does not. The first token of a text always stays.
    What comes after the prompt stays too.

    Attributes:
        budget: Tokens (int) or fraction of the tokens seen (float in (0, 1]) that remain in each later layer; 0.5 of
            the visual tokens in the paper.
        layer: Layers that keep everything, counted from the first, the last of which chooses; 2 in the paper.
        always: Tokens that do not compete and always stay, as (first, one past the last) positions; they count towards
            the budget, and stay if it does not hold them. Text in a vision-language model, which the section `video`
            fills in; none: every token competes.
    """

    budget: Budget = 0.5
    layer: int = 2
    always: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Refuses an impossible budget, a missing layer and invalid spans.

        Raises:
            BudgetError: If the budget is impossible.
            ConfigError: With the value given and what is expected.
        """
        for each in fields(self):
            object.__setattr__(self, each.name, plain(getattr(self, each.name)))
        check_budget(self.budget)
        check_count("layer", self.layer, 1)
        spans = tuple(tuple(map(plain, span)) if isinstance(span, list | tuple) else span for span in self.always)
        for span in spans:
            whole = isinstance(span, tuple) and len(span) == 2 and all(type(each) is int for each in span)
            if not whole or not 0 <= span[0] <= span[1]:
                raise ConfigError(
                    f"always={span!r}: expected pairs of positions (first, one past the last), such as (0, 5)"
                )
        object.__setattr__(self, "always", spans)

    @property
    def base(self) -> TOVA:  # type: ignore[override]
        """What scores within the layer that chooses."""
        return TOVA(budget=self.budget)

    @property
    def chooser(self) -> int:
        """See `ChoosesForLater`."""
        return self.layer - 1

    def score(self, observation: Observation) -> Tensor:
        """Attention of the last token; infinity for what always stays: (B, H, S)."""
        scores = pin(self.base.score(observation), observation, first=1)
        for first, stop in self.always:
            inside = (observation.positions >= first) & (observation.positions < stop)
            scores = scores.masked_fill(inside & observation.live, float("inf"))
        return scores

    def keep(self, scores: Tensor, candidates: Candidates) -> Tensor:
        """Of the layer that chooses, the best tokens, which later layers keep; of others everything: (B, H, S) bool."""
        if not self.may_evict(candidates.seen, candidates.shape):
            return candidates.live.clone()
        return self.base.keep(scores, candidates) | (scores.isposinf() & candidates.live)

    def may_evict(self, seen: int, shape: LayerShape) -> bool:
        """Whether this layer chooses, and more tokens were seen than the budget holds."""
        return shape.layer == self.chooser and self.base.may_evict(seen, shape)

    def check_clock(self, update_every: int | None, protect_first: int, protect_recent: int) -> None:
        """One choice, when the prompt has been read.

        Raises:
            ClockError: If there are updates while it is read.
            BudgetError: If a budget in tokens does not hold the protected ones.
        """
        if update_every is not None:
            raise ClockError(
                "FastV: chooses once, after the whole prompt; use schedule post_prefill instead of streaming"
            )
        check_budget(self.budget, max(1, protect_first), protect_recent)
