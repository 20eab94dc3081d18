"""A run that divides a budget among heads; every step is saved, so that a killed run can resume."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import DataError, EvolutionError
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.fitness.agree import AgreeObjective
from namm_xmodal.fitness.lesson import Lesson
from namm_xmodal.gradient.aim import Aim
from namm_xmodal.gradient.division import Division
from namm_xmodal.gradient.head_worth import HeadWorth
from namm_xmodal.gradient.sample import pruned_loss
from namm_xmodal.policies.head_shares import HeadShares
from namm_xmodal.policies.namm import ThresholdSchedule
from namm_xmodal.policies.protocol import Policy
from namm_xmodal.trust.json_text import read_json

STATE = "division.json"


@dataclass(frozen=True)
class Read:
    """What one input says.

    Attributes:
        loss: Distance to the outputs of the full cache, nats.
        worth: (L, H) by how much it falls with one more token in each head; None if nobody asked.
    """

    loss: float
    worth: torch.Tensor | None


def read_divided(lesson: Lesson, policy: Policy, aim: Aim, *, gradient: bool) -> Read:
    """One forward pass, and a backward pass if asked, over one input.

    Args:
        lesson: What to read.
        policy: Which tokens a head keeps.
        aim: How many, with the shares in it.
        gradient: Whether to find the worth of heads.
    """
    if not gradient:
        with pruned_loss(lesson, policy, aim) as (loss, _):
            return Read(float(loss.detach()), None)
    worth = HeadWorth(*shape_of(lesson), lesson.model.device)
    with pruned_loss(lesson, policy, aim, worth=worth) as (loss, _):
        return Read(float(loss.detach()), worth.of(loss))


def shape_of(lesson: Lesson) -> tuple[int, int]:
    """Layers and kv heads of a model."""
    config: Any = lesson.adapter.decoder(lesson.model).config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return lesson.adapter.num_layers(lesson.model), int(heads)


class DivisionRun:
    """Sources of one model, split into training inputs and held-out inputs."""

    def __init__(
        self, objective: AgreeObjective, policy: Policy, budget: float, *, samples: int, held_out: int, seed: int
    ):
        """Loads nothing yet.

        Args:
            objective: Its sources are of one model.
            policy: Which tokens a head keeps.
            budget: Share of the tokens seen, where a source says nothing else.
            samples: Inputs of each source in a step.
            held_out: Last inputs of each source that no step reads.
            seed: Of their order.
        """
        self.objective, self.policy, self.budget = objective, policy, budget
        self.samples, self.held_out, self.seed = samples, held_out, seed
        self._models: dict[str, Any] = {}

    def start(self, steps: int, rate: float) -> Division:
        """Even shares, for the model of the sources."""
        return Division.even(*self.shape, steps, rate)

    @property
    def shape(self) -> tuple[int, int]:
        """Layers and kv heads of the model of the sources."""
        label, source = next(iter(self.objective.labelled.items()))
        return shape_of(self.objective.lesson(Shard(label, (0,), source.model)))

    def advance(self, division: Division) -> None:
        """One step of a division.

        Raises:
            DataError: If the sources turn out to be of several models.
        """
        found = [
            read_divided(lesson, self.policy, self._aim(label, lesson, division.shares()), gradient=True)
            for label, lesson in self._lessons(division.step)
        ]
        worth = torch.stack([each.worth / _scale(each.worth) for each in found if each.worth is not None]).mean(0)
        division.take(worth, float(np.mean([each.loss for each in found])))

    def judge(self, shares: HeadShares | None, on_progress: Callable[[], None] = lambda: None) -> list[float]:
        """Distances on the inputs that no step reads, nats; with even shares if None."""
        distances = []
        for label, source in self.objective.labelled.items():
            for index in range(self.objective.count(label) - self.held_out, self.objective.count(label)):
                lesson = self.objective.lesson(Shard(label, (index,), source.model))
                aim = self._aim(label, lesson, shares)
                distances.append(read_divided(lesson, self.policy, aim, gradient=False).loss)
                on_progress()
        return distances

    def _lessons(self, step: int) -> Sequence[tuple[str, Lesson]]:
        """The inputs of a step: every one once, in an order of its own, before any comes again."""
        found = []
        for salt, (label, source) in enumerate(self.objective.labelled.items()):
            count = self.objective.count(label) - self.held_out
            for place in range(step * self.samples, (step + 1) * self.samples):
                order = np.random.default_rng([self.seed, salt, place // count]).permutation(count)
                lesson = self.objective.lesson(Shard(label, (int(order[place % count]),), source.model))
                if self._models.setdefault(label, lesson.model) is not lesson.model:
                    raise DataError(f"{label}: has several models, but head shares belong to one; set model_seeds: [0]")
                found.append((label, lesson))
        return found

    def _aim(self, label: str, lesson: Lesson, shares: HeadShares | None) -> Aim:
        source = self.objective.labelled[label]
        budget, whole = source.budget or self.budget, source.share_of == "whole"
        return Aim(
            ThresholdSchedule(),
            budget,
            source.floor or 0,
            per_head=True,
            whole=whole,
            length=lesson.length,
            shares=shares,
        )


def _scale(worth: torch.Tensor) -> torch.Tensor:
    """Inputs that are easy to tell apart from the full cache do not outweigh the others."""
    return worth.square().mean().sqrt().clamp(min=torch.finfo(worth.dtype).tiny)


def divide(
    run: DivisionRun, steps: int, rate: float, folder: Path, digest: str, on_progress: Callable[[int, float], None]
) -> Division:
    """All steps that the folder does not hold yet.

    Args:
        run: What is read.
        steps: Of the whole run.
        rate: Of the first step.
        folder: Where the state is saved after every step.
        digest: Of everything that decides the result.
        on_progress: Called with steps done and the last loss.

    Raises:
        EvolutionError: If the folder holds another run, is damaged, or the disk is full.
    """
    path = folder / STATE
    division = _saved(path, steps, rate, digest, run.shape) if path.exists() else run.start(steps, rate)
    while division.step < steps:
        run.advance(division)
        state = {
            "digest": digest,
            "step": division.step,
            "counted": division.counted,
            "losses": division.losses,
            **{name: getattr(division, name).tolist() for name in ("logs", "direction", "total")},
        }
        try:
            replace_text(path, json.dumps(state) + "\n")
        except OSError as error:
            raise EvolutionError(f"{path}: {disk_trouble(error)}; the step before it is kept") from None
        on_progress(division.step, division.losses[-1])
    return division


def _saved(path: Path, steps: int, rate: float, digest: str, shape: tuple[int, int]) -> Division:
    expected = "the state of a division; choose another --run"
    found = read_json(path, error=EvolutionError, expected=expected)
    try:
        if found["digest"] != digest:
            raise EvolutionError(
                f"{path}: was made with other settings ({found['digest']}, not {digest}); choose another --run"
            )
        logs, direction, total = (
            torch.tensor(found[name], dtype=torch.float64) for name in ("logs", "direction", "total")
        )
        losses = [float(each) for each in found["losses"]]
        for table in (logs, direction, total):
            if table.shape != shape or not bool(table.isfinite().all()):
                raise ValueError(f"a table of {tuple(table.shape)}, expected {shape} finite numbers")
        done, counted = int(found["step"]), int(found["counted"])
        if not 0 <= done <= steps or len(losses) != done or not 0 <= counted <= done or (done == steps) > counted:
            raise ValueError(f"step {done} of {steps} with {len(losses)} losses, {counted} of them counted")
        return Division(steps, rate, logs, direction, total, int(found["counted"]), int(found["step"]), losses)
    except (KeyError, TypeError, ValueError) as error:
        raise EvolutionError(f"{path}: damaged ({error}); expected {expected}") from None
