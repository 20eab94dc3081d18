"""`check_task` accepts every task of the package and names the clause that a broken one breaks."""

import random
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from task_names import NAMES

from namm_xmodal import check_task
from namm_xmodal.errors import ConfigError, ContractError
from namm_xmodal.language import TASKS
from namm_xmodal.language.sample import Generation, Sample

GOOD = Sample("toy", 0, "The word is red. " * 20, "The word is", " red", (" red", " blue"), {"length": 351})


@dataclass(frozen=True)
class Toy:
    """A sample each, as `change` leaves it."""

    name: ClassVar[str] = "toy"
    description: ClassVar[str] = "a toy"
    primary_metric: ClassVar[str] = "accuracy"

    change: tuple = ()

    def samples(self, n, *, seed, tokenizer):
        if n < 1:
            raise ConfigError("n: expected at least 1")
        return [replace(GOOD, **{"index": index, **dict(self.change)}) for index in range(n)]


class Moody(Toy):
    def samples(self, n, *, seed, tokenizer):
        return [replace(each, question=f"{random.random()}") for each in super().samples(n, seed=seed, tokenizer=None)]


class Unstable(Toy):
    def samples(self, n, *, seed, tokenizer):
        found = super().samples(n, seed=seed, tokenizer=None)
        return [replace(each, tags={"of": n}) for each in found]


class Remembering(Toy):
    asked: ClassVar[list] = []

    def samples(self, n, *, seed, tokenizer):
        self.asked.append(seed)
        return [
            replace(each, tags={"asked": len(set(self.asked))}) for each in super().samples(n, seed=0, tokenizer=None)
        ]


class Few(Toy):
    def samples(self, n, *, seed, tokenizer):
        return super().samples(n, seed=seed, tokenizer=None)[:2]


class Lenient(Toy):
    def samples(self, n, *, seed, tokenizer):
        return super().samples(n, seed=seed, tokenizer=None) if n else []


class Other(Toy):
    primary_metric = "acuracy"


class Nameless:
    primary_metric = "accuracy"


class Mutable:
    name, description, primary_metric = "toy", "a toy", "accuracy"

    def samples(self, n, *, seed, tokenizer):
        return Toy().samples(n, seed=seed, tokenizer=tokenizer)


@pytest.mark.parametrize("name", NAMES)
def test_every_task_passes(name):
    check_task(TASKS[name]())


@pytest.mark.parametrize(
    ("task", "clause", "found"),
    [
        (Nameless(), "names", "it lacks name, description, samples"),
        (Other(), "names", "primary_metric is 'acuracy', expected one of answer_probability"),
        (Mutable(), "immutable", "make it a frozen dataclass"),
        (Lenient(), "refuses no samples", "n=0 was accepted"),
        (Few(), "numbered", "2 samples, asked for 4"),
        (Toy((("index", 0),)), "numbered", "sample 1 says it is"),
        (Toy((("task", "other"),)), "numbered", "sample 0 says it is"),
        (Moody(), "deterministic", "sample 0 differs when requested again"),
        (Remembering(), "deterministic", "sample 0 differs when requested again"),
        (Unstable(), "prefix-stable", "sample 0 of 4 differs if only 3 are requested"),
        (Toy((("answer", " green"),)), "choices", "' green' is not among its choices"),
        (Toy((("choices", (" red", " red")),)), "choices", "a choice is repeated"),
        (Toy((("answer", ""), ("choices", ()))), "answers", "has a question but no answer"),
        (Toy((("context", ""),)), "answers", "has no context"),
        (
            Toy((("answer", ""), ("choices", ()), ("question", ""), ("also_right", (" red",)))),
            "answers",
            "other answers",
        ),
        (Toy((("generation", Generation(8, ("exact",))),)), "generation", "scored by ['exact'], expected some of"),
        (Toy((("generation", Generation(8, ())),)), "generation", "expected some of"),
        (Toy((("generation", Generation(0, ("exact_match",))),)), "generation", "generates 0 tokens"),
        (Toy((("tags", {"what": object()}),)), "tags", "expected texts and numbers"),
        (Toy((("tags", {"length": 200}),)), "lengths", "sample 0 says length 200, its prompt has 351 tokens"),
        (
            Toy((("generation", Generation(99, ("exact_match",), counted=True)),)),
            "lengths",
            "sample 0 says length 351, its prompt has 351 tokens, its answer 99",
        ),
    ],
)
def test_a_broken_task_names_its_clause(task, clause, found):
    with pytest.raises(ContractError, match=f"breaks the clause '{clause}'") as caught:
        check_task(task)
    assert found in str(caught.value) and "\n" not in str(caught.value)
