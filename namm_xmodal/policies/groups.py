"""Groups of tokens that stood together in the text, such as one step of an agent or one passage."""

from torch import Tensor

from namm_xmodal.policies.protocol import Observation


def group_of(positions: Tensor, size: int) -> Tensor:
    """(B, H, S) int64: group 0 is positions 0 to size - 1; dead slots fall into it, where they have to be masked."""
    return positions.clamp(min=0) // size


def group_means(
    scores: Tensor, which: Tensor, observation: Observation, size: int, *, of_layer: bool = False
) -> Tensor:
    """Each token's mean score of its group.

    Args:
        scores: (B, H, S).
        which: (B, H, S) bool, the tokens whose scores count.
        observation: Says where each token stands.
        size: Tokens of a group.
        of_layer: One mean over all heads of the layer instead of one for each head.

    Returns:
        (B, H, S); 0 where no token of the group counts.
    """
    groups = group_of(observation.positions, size)
    room = (*scores.shape[:2], observation.seen // size + 1)
    total = scores.new_zeros(room).scatter_add(-1, groups, scores.masked_fill(~which, 0.0))
    count = scores.new_zeros(room).scatter_add(-1, groups, which.to(scores.dtype))
    if of_layer:
        total, count = total.sum(1, keepdim=True).expand(room), count.sum(1, keepdim=True).expand(room)
    return (total / count.clamp(min=1)).gather(-1, groups)
