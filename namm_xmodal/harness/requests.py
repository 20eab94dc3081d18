"""What the harness asks for, in tokens: what is cut off, what is read together, how a text ends."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from namm_xmodal.config.names import did_you_mean
from namm_xmodal.errors import ConfigError, DataError

Asked = TypeVar("Asked")

MAX_GEN_TOKS = 256
"""Most tokens of a text where a task does not say; the harness's own number."""

_LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_GREEDY = {"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0, "use_cache": True}
_OF_SAMPLING = ("top_k", "top_p", "min_p", "typical_p", "seed")
"""Say how to draw, and nothing where the likeliest token is taken."""


@dataclass(frozen=True)
class Ending:
    """When a generated text ends.

    Attributes:
        until: Texts that end it, themselves left out.
        limit: Most tokens.
    """

    until: tuple[str, ...]
    limit: int

    def stopped(self, text: str) -> bool:
        """Whether a text holds one of `until`."""
        return any(each in text for each in self.until)

    def cut(self, text: str) -> str:
        """A text up to the first of `until`."""
        for each in self.until:
            text = text.split(each)[0]
        return text


def read_ending(given: Mapping[str, Any], task: str) -> Ending:
    """Reads `generation_kwargs` of a task.

    Args:
        given: As in the task's YAML, after `--gen_kwargs`.
        task: Its name, for messages.

    Raises:
        ConfigError: For sampling, beams, and keys that are not known.
    """
    place = f"generation_kwargs of {task}"
    limits = [given[key] for key in _LIMITS if given.get(key) is not None]
    limit = limits[0] if limits else MAX_GEN_TOKS
    if isinstance(limit, bool) or not isinstance(limit, int | float) or int(limit) < 1:
        raise ConfigError(f"{place}: {limit!r} tokens: expected 1 or more")
    until = given.get("until") or []
    until = [until] if isinstance(until, str) else list(until)
    if given.get("do_sample") or (given.get("do_sample") is None and float(given.get("temperature") or 0.0) > 0):
        raise ConfigError(f"{place}: sampling; texts are greedy here, add --gen_kwargs do_sample=false")
    for key, value in given.items():
        if key in _GREEDY:
            if value not in (None, _GREEDY[key]):
                raise ConfigError(
                    f"{place}: {key}={value!r}: texts are greedy here, expected {_GREEDY[key]}; remove it"
                )
        elif key not in ("until", "do_sample", "temperature", *_LIMITS, *_OF_SAMPLING):
            known = ("until", "do_sample", "temperature", *_LIMITS)
            raise ConfigError(f"{place}: unknown key {key}; {did_you_mean(key, known)}")
    return Ending(tuple(each for each in map(str, until) if each), int(limit))


def cut_left(context: Sequence[int], room: int | None) -> tuple[int, ...]:
    """The last `room` tokens of a context, all of them if None: the harness's own convention.

    Raises:
        DataError: If there is room for none.
    """
    if room is None:
        return tuple(context)
    if room < 1:
        raise DataError(
            f"max_length leaves {room} tokens for a prompt; expected a larger max_length or a shorter answer"
        )
    return tuple(context[-room:])


def batches(prompts: Mapping[tuple[int, ...], Asked], size: int) -> Iterator[tuple[list[tuple[int, ...]], list[Asked]]]:
    """Prompts of equal length, the longest first, so that memory runs out at the beginning or never.

    Args:
        prompts: Token ids, and what is asked of them.
        size: Most prompts at once.

    Yields:
        Up to `size` prompts of one length, and what is asked of each.
    """
    ordered = sorted(prompts, key=lambda prompt: (-len(prompt), prompt))
    start = 0
    while start < len(ordered):
        stop = start + 1
        while stop < min(start + size, len(ordered)) and len(ordered[stop]) == len(ordered[start]):
            stop += 1
        yield ordered[start:stop], [prompts[each] for each in ordered[start:stop]]
        start = stop
