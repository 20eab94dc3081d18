"""A plug-in file with one of each kind; `test_plugins.py` gives it to the command line."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field

from namm_xmodal import Budgeted
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.config.section import Section
from namm_xmodal.envs.tmaze import TMaze
from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.modality import Item, Kept, Metric, Modality, Outcome
from namm_xmodal.evolution.random_search import RandomSearch
from namm_xmodal.language import metrics
from namm_xmodal.language.sample import Sample
from namm_xmodal.policies.namm import Channel
from namm_xmodal.video.benchmarks.generated import GeneratedVideos


@dataclass(frozen=True, kw_only=True)
class ValueNorm(Budgeted):
    """Keeps tokens with large values."""

    def score(self, observation):
        return observation.values.norm(dim=-1)


class KeyLength(Channel):
    """How long a key is."""

    name = "key_length"

    def read(self, observation):
        return observation.keys.float().masked_fill(~observation.live[..., None], 0.0).norm(dim=-1)[:, :, None]


@dataclass(frozen=True)
class Parrot:
    """A word stands at the beginning and is asked for at the end."""

    name: ClassVar[str] = "parrot"
    description: ClassVar[str] = "a word stands at the beginning and is asked for at the end"
    primary_metric: ClassVar[str] = "answer_probability"

    words: int = 30

    def samples(self, n, *, seed, tokenizer):
        if n < 1:
            raise ConfigError(f"n: {n}: expected at least 1")
        return [self._sample(index, f"w{seed}x{index}") for index in range(n)]

    def _sample(self, index, word):
        return Sample(self.name, index, f"The word is {word}." + " Go on." * self.words, " The word is", f" {word}")


@dataclass(frozen=True)
class Needles(GeneratedVideos):
    """Generated videos under another name."""

    name = "own_needles"


class OwnAdapter(LanguageAdapter):
    """For one linear layer."""

    name = "own_adapter"

    def missing(self, model):
        return None if isinstance(model, torch.nn.Linear) else "is not a linear layer"


class CountSection(Section):
    """Counts up to a number."""

    upto: int = Field(2, ge=1)


@dataclass(frozen=True)
class CountFacts:
    number: int = 0


class Count(Modality):
    """Its only item's score is its number."""

    name = "count"
    section = CountSection
    facts = CountFacts

    def items(self, section):
        return [Item(f"count/{number}", "count", number, f"count/{number}") for number in range(section.upto)]

    def open(self, section):
        return CountSession()

    def metrics(self, section, task, names):
        return [Metric(name) for name in names]


class CountSession:
    def run(self, work, on_status):
        for each in work:
            for arm, items in each.by_arm():
                for item in items:
                    facts, model = CountFacts(item.number), {"name": "none", "source": "none", "dtype": "none"}
                    yield Outcome(item, arm, {"number": float(item.number)}, Kept(), {}, facts, model)


def vowels(prediction, answers):
    return sum(letter in "aeiou" for letter in prediction) / max(1, len(prediction))


POLICIES = {"value_norm": ValueNorm}
CHANNELS = {"key_length": KeyLength}
TASKS = {"parrot": Parrot}
METRICS = {"vowels": metrics.Metric("vowels", 0, 1, True, "share of vowels", of_text=vowels, headline=True)}
BENCHMARKS = {"own_needles": Needles}
ADAPTERS = {"own_adapter": OwnAdapter}
ENVIRONMENTS = {"Own/ShortMaze-v0": TMaze}
MODALITIES = {"count": Count()}
STRATEGIES = {"own_search": RandomSearch}
