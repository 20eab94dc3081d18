"""The best score over several references."""

from collections.abc import Callable, Sequence

from namm_xmodal.errors import DataError


def best(score: Callable[[str, str], float], prediction: str, references: Sequence[str]) -> float:
    """The greatest score over the references.

    Args:
        score: From the prediction and one reference.
        prediction: Generated text.
        references: Right answers.

    Raises:
        DataError: If there are none, since nothing could be right or wrong then.
    """
    if not references:
        raise DataError("no reference answer; expected at least one")
    return max(float(score(prediction, each)) for each in references)
