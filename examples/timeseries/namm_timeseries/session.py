"""A language model that reads numbers."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from namm_timeseries.modality import SeriesFacts, SeriesSection
from namm_xmodal.evaluation.modality import Item, Kept, OnStatus, Outcome, Work
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.language.models import load_language_model
from namm_xmodal.modalities.language.continuation import log_likelihoods, read_prompt


class SeriesSession:
    """Reads each series once for every arm."""

    def __init__(self, section: SeriesSection) -> None:
        """Loads the model."""
        self.section = section
        self.language = load_language_model(section.model, dtype=section.dtype, device=section.device)

    def run(self, work: Sequence[Work], on_status: OnStatus) -> Iterator[Outcome]:
        """One outcome for each arm on each series."""
        model = {"name": self.language.name, "source": self.language.source, "dtype": self.language.dtype}
        for each in work:
            for arm, items in each.by_arm():
                for item in items:
                    values = series(self.section, item)
                    began = time.process_time()
                    with pruned_for(self.section, self.language.model, arm.policy, arm.schedule) as memory:
                        ids = self._ids(", ".join(map(str, values[:-1])) + ",")
                        prompt = read_prompt(memory, ids)
                        logs = log_likelihoods(memory, prompt, self._ids(f" {values[-1]}"))
                    yield Outcome(
                        item=item,
                        arm=arm,
                        scores={"value_probability": float(np.exp(np.mean(logs)))},
                        kept=Kept.of(prompt.report),
                        seconds={"series": time.process_time() - began},
                        facts=SeriesFacts(values[-1]),
                        model=model,
                    )

    def _ids(self, text: str) -> list[int]:
        found: Any = self.language.tokenizer(text, add_special_tokens=False)["input_ids"]
        return list(found)


def series(section: SeriesSection, item: Item) -> list[int]:
    """Values of one series, the one to forecast last; the same for the same seed and number."""
    rng = np.random.default_rng((section.seed, item.number))
    season = rng.integers(10, 99, section.period)
    times = np.arange(section.length + 1)
    return [int(value) for value in season[times % section.period]]
