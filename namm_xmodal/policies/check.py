"""Contract checks for policies; run them on your own policy."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from namm_xmodal.errors import ContractError
from namm_xmodal.policies.protocol import ChoosesForLater, Policy
from namm_xmodal.policies.selection import budget_tokens
from namm_xmodal.policies.trial import Outcome, Text, Trial
from namm_xmodal.types import LayerShape

_SHAPE = LayerShape(layer=1, num_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=8)
_UPDATES = 3


def check_policy(
    policy: Policy,
    *,
    shape: LayerShape = _SHAPE,
    update_every: int = 32,
    protect_first: int = 2,
    protect_recent: int = 3,
    seed: int = 0,
) -> None:
    """Checks a policy on random text and raises on the first clause of the contract that it breaks.

    The clauses: *methods*, *immutable*, *scores*, *keeps protected tokens*, *keeps no dead slot*, *may_evict*,
    *budget*, *deterministic*, *tiling*, *more rows than asked for*, *heads apart*, *windows*, *dead slots*, *moves with
    its tokens*, *batch-mates*, *reorders with its rows*, *one live token*, *stateless*.

    Args:
        policy: The policy.
        shape: Sizes of the toy layer it is tried on.
        update_every: Tokens between updates; a NAMM needs a multiple of its hop.
        protect_first: Tokens at the start that must stay.
        protect_recent: Newest tokens that must stay.
        seed: Seed of the text.

    Raises:
        ContractError: With the name of the clause and what was found.
        BudgetError: If the policy refuses the protected tokens.
        ClockError: If it refuses `update_every`.
    """
    name = type(policy).__name__
    missing = [
        verb for verb in ("start", "observe", "score", "keep", "may_evict", "check_clock") if not hasattr(policy, verb)
    ]
    _hold(name, "methods", not missing and hasattr(policy, "reads"), f"it lacks {', '.join(missing) or 'reads'}")
    clock = None if isinstance(policy, ChoosesForLater) else update_every  # what it does at one update, it does at each
    policy.check_clock(clock, protect_first, protect_recent)
    _check_immutable(name, policy)
    text = Text.random(3, shape, _UPDATES * update_every, seed)
    settings: dict[str, Any] = dict(
        policy=policy,
        shape=shape,
        update_every=update_every,
        protect=(protect_first, protect_recent),
        rotary=_rotary(shape),
    )
    with torch.no_grad():
        _check_choices(name, settings, text)
        base = Trial(text=text, **settings).run(_UPDATES).outcomes
        before = _frozen(policy)  # after first use, which may fill caches that change nothing
        again = Trial(text=text, **settings).run(_UPDATES).outcomes
        same = all(
            torch.equal(a.scores, b.scores) and torch.equal(a.keep, b.keep) for a, b in zip(base, again, strict=True)
        )
        _hold(name, "deterministic", same, "two runs on the same text differ")
        settings["replay"] = base
        for chunk, tile in ((1, 1), (7, 7), (16, 16), (33, 33), (None, 5)):
            run = Trial(text=text, chunk=chunk, tile=tile, **settings).run(_UPDATES).outcomes
            _hold_equal(name, "tiling", base, run, f"in tiles of {tile} instead of {update_every}")
        run = Trial(text=text, apart=True, chunk=7, **settings).run(_UPDATES).outcomes
        _hold_equal(name, "heads apart", base, run, "if kv heads are watched one at a time")
        run = Trial(text=text, release=True, chunk=7, **settings).run(_UPDATES).outcomes
        _hold_equal(name, "windows", base, run, "if buffers with a window are given back after updates")
        run = Trial(text=text, everything=True, **settings).run(_UPDATES).outcomes
        _hold_equal(name, "more rows than asked for", base, run, "if it is shown more rows than it reads")
        run = Trial(text=text, poison=True, **settings).run(_UPDATES).outcomes
        _hold_equal(name, "dead slots", base, run, "if dead slots hold other numbers")
        run = Trial(text=text, compact=False, **settings).run(_UPDATES).outcomes
        _hold_equal(name, "moves with its tokens", base, run, "if survivors stay in their slots")
        _check_rows(name, settings, text, base)
        _check_corners(name, settings, text)
        again = Trial(text=text, **settings).run(_UPDATES).outcomes
        unchanged = all(torch.equal(a.scores, b.scores) for a, b in zip(base, again, strict=True))
        unchanged = unchanged and _same(before, _frozen(policy))
    _hold(
        name,
        "stateless",
        unchanged,
        "the policy object changed while it was used; store what it remembers in the state",
    )


def _check_immutable(name: str, policy: Policy) -> None:
    try:
        hash(policy)
    except TypeError as error:
        _hold(
            name,
            "immutable",
            False,
            f"{error}; use hashable hyper-parameters (tuples, not lists) and eq=False for tensors",
        )
    if dataclasses.is_dataclass(policy):
        parameters: Any = getattr(policy, "__dataclass_params__", None)
        _hold(name, "immutable", parameters is not None and parameters.frozen, "make it a frozen dataclass")


def _check_choices(name: str, settings: dict[str, Any], text: Text) -> None:
    """What one run over all layers must satisfy at every update."""
    policy, shape = settings["policy"], settings["shape"]
    kept, allowed = [0] * _UPDATES, [0] * _UPDATES
    for layer in range(shape.num_layers):
        own = dataclasses.replace(shape, layer=layer)
        trial = Trial(text=text, **{**settings, "shape": own})
        for update in range(_UPDATES):
            outcome = trial.run(1).outcomes[-1]
            live, protected, keep = outcome.candidates.live, outcome.candidates.protected, outcome.keep
            where = f"in layer {layer} after {outcome.seen} tokens"
            lost = int((protected & ~keep).sum())
            _hold(name, "keeps protected tokens", lost == 0, f"{lost} of {int(protected.sum())} evicted {where}")
            revived = int((keep & ~live).sum())
            _hold(name, "keeps no dead slot", revived == 0, f"{revived} kept {where}")
            for filler in (float("inf"), float("nan")):
                other = policy.keep(outcome.scores.masked_fill(~live, filler), outcome.candidates)
                _hold(name, "keeps no dead slot", torch.equal(other, keep), f"their scores change the choice {where}")
            honest = policy.may_evict(outcome.seen, own) or torch.equal(keep, live)
            _hold(name, "may_evict", honest, f"may_evict returned False, but an update evicted tokens {where}")
            counts, bound = keep.sum(-1), getattr(policy, "budget", getattr(policy, "max_tokens", None))
            if bound is not None and policy.may_evict(outcome.seen, own):
                # Heads that hold nothing but protected tokens may exceed a budget.
                kept[update] += int(counts.masked_fill((keep == protected).all(-1), 0).sum())
                allowed[update] += counts.numel() * budget_tokens(bound, outcome.seen)
    for update, (count, most) in enumerate(zip(kept, allowed, strict=True)):
        _hold(
            name,
            "budget",
            count <= most,
            f"{count} tokens at update {update + 1} in all layers and heads, allowed are {most}",
        )


def _check_rows(name: str, settings: dict[str, Any], text: Text, base: list[Outcome]) -> None:
    """Batch rows are independent, and a row's memory moves with it."""
    for row in range(text.keys.shape[0]):
        alone = [_of_rows(outcome, [row]) for outcome in base]
        run = Trial(text=text.of_rows([row]), **{**settings, "replay": alone}).run(_UPDATES).outcomes
        _hold_equal(name, "batch-mates", alone, run, f"if row {row} is alone")
    rows = [1, 1, 0]
    trial = Trial(text=text, **settings).run(1)
    trial.reorder(rows)
    expected = [_of_rows(outcome, rows) for outcome in base]
    trial.replay = expected
    run = trial.run(_UPDATES - 1).outcomes[1:]
    _hold_equal(name, "reorders with its rows", expected[1:], run, "after a beam reorder")


def _check_corners(name: str, settings: dict[str, Any], text: Text) -> None:
    """Nearly empty heads, no rotary embedding, half precision."""
    for rotary in (settings["rotary"], None):
        trial = Trial(text=text, **{**settings, "rotary": rotary}).run(1)
        trial.evict(trial.positions == trial.seen - 1)
        scores = trial.policy.score(trial.observation())
        newest = scores[trial.positions >= 0]
        _hold(name, "one live token", not bool(newest.isnan().any()), "NaN for a head that holds a single token")
    try:
        Trial(text=text.to(torch.bfloat16), **{**settings, "replay": None}).run(_UPDATES)
    except ContractError as error:
        raise ContractError(f"{error} (in half precision)") from None


def _of_rows(outcome: Outcome, rows: list[int]) -> Outcome:
    """An outcome as if only some batch rows had been there (by position; what is by slot stays)."""
    parts = {part: getattr(outcome, part)[rows] for part in ("live", "score_at", "keep_at", "stays_at")}
    return dataclasses.replace(outcome, **parts)


def _hold(name: str, clause: str, holds: bool, found: str) -> None:
    if not holds:
        raise ContractError(f"{name} breaks the clause '{clause}': {found}")


def _hold_equal(name: str, clause: str, expected: list[Outcome], found: list[Outcome], how: str) -> None:
    for old, new in zip(expected, found, strict=True):
        close = torch.allclose(old.score_at, new.score_at, rtol=1e-4, atol=1e-5)
        _hold(name, clause, close, f"other scores after {old.seen} tokens {how}")
        _hold(name, clause, torch.equal(old.keep_at, new.keep_at), f"another choice after {old.seen} tokens {how}")


def _frozen(value: Any) -> Any:
    """A deep copy of everything that makes up a policy, as plain containers and tensors."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_frozen(item) for item in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, torch.nn.Module):
        return [_frozen(value.state_dict()), value.training]
    if hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        return {"type": type(value), **_frozen(vars(value))}
    return value


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor) or isinstance(after, Tensor):
        return isinstance(before, Tensor) and isinstance(after, Tensor) and torch.equal(before, after)
    if isinstance(before, dict) and isinstance(after, dict):
        return before.keys() == after.keys() and all(_same(before[key], after[key]) for key in before)
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(_same(a, b) for a, b in zip(before, after, strict=True))
    return bool(before == after)


def _rotary(shape: LayerShape) -> Any:
    """A rotary embedding of half the dimensions, as GPT-NeoX has it."""
    width = max(2, shape.head_dim // 4 * 2)
    frequency = 100.0 ** -(torch.arange(0, width, 2) / width)

    def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
        angle = (positions[:, None] * frequency).repeat(1, 2)  # (P, R)
        return angle.cos(), angle.sin()

    return rotary
