"""A language model and the samples of its tasks; turns them into outcomes."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from namm_xmodal.config.building import at
from namm_xmodal.config.tasks import build_task
from namm_xmodal.errors import DataError, NammError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.modality import Item, Kept, Outcome, Told, Work
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.modalities.language.facts import LanguageFacts
from namm_xmodal.modalities.language.section import LanguageSection


class LanguageSession:
    """Loads the model once; samples are made once per task and encoded once per sample, the same for all arms."""

    def __init__(self, section: LanguageSection) -> None:
        """Loads what every sample needs."""
        import torch

        from namm_xmodal.language.models import load_language_model

        self.section = section
        torch.set_num_threads(section.threads)
        self.language = load_language_model(section.model, dtype=section.dtype, device=section.device)
        self._tasks = {label: build_task(spec, f"tasks.{label}") for label, spec in section.tasks.items()}
        self._samples: dict[str, list[Any]] = {}
        self._fitted: dict[str, Any] = {}
        self._model = {"name": self.language.name, "source": self.language.source, "dtype": self.language.dtype}

    def run(self, work: Sequence[Work], told: Told) -> Iterator[Outcome]:
        """See `Session.run`: all arms on one sample after another."""
        from namm_xmodal.language.prompt import encode

        for each in work:
            for item, arms in zip(each.items, each.arms, strict=True):
                sample = self.sample(item.task, item.number)
                encoded = encode(sample, self.language.tokenizer)
                self._check_length(item, arms, encoded)
                for arm in arms:
                    yield self._outcome(item, arm, sample, encoded)

    def _outcome(self, item: Item, arm: Arm, sample: Any, encoded: Any) -> Outcome:
        from namm_xmodal.evaluation.fit import described
        from namm_xmodal.modalities.language.scoring import score_sample

        policy, section = self.policy(arm), self.section
        before = time.process_time()
        with pruned_for(section, self.language.model, policy, arm.schedule) as memory:
            answer = score_sample(
                memory,
                self.language.tokenizer,
                sample,
                encoded,
                scoring=section.scoring,
                generate_tokens=section.generate_tokens,
            )
        return Outcome(
            item=item,
            arm=arm,
            scores=answer.scores,
            kept=Kept.of(answer.report),
            seconds={"sample": time.process_time() - before},
            facts=LanguageFacts(answer.prompt_tokens),
            model=self._model,
            fit=described(policy),
            text=answer.text,
        )

    def policy(self, arm: Arm) -> Any:
        """What prunes, None for the full cache; a NAMM is fitted once."""
        if arm.policy is None:
            return None
        if arm.fingerprint not in self._fitted:
            from namm_xmodal.evaluation.fit import fitted
            from namm_xmodal.modalities.language.fit import PlainTexts

            plain = PlainTexts(self.language, self.section.update_every)
            self._fitted[arm.fingerprint] = fitted(arm, self.language.model, plain, self.section)
        return self._fitted[arm.fingerprint]

    def sample(self, label: str, number: int) -> Any:
        """A sample of a task."""
        if label not in self._samples:
            task, count = self._tasks[label]
            try:
                made = task.samples(count, seed=self.section.seed, tokenizer=self.language.tokenizer)
            except NammError as error:
                raise at(f"tasks.{label}", error) from None
            self._samples[label] = made
        return self._samples[label][number]

    def _check_length(self, item: Item, arms: Sequence[Arm], encoded: Any) -> None:
        longest = max([len(encoded.answer_ids), *(len(choice) for choice in encoded.choice_ids)], default=0)
        needed = encoded.prompt_length + max(longest, self.section.generate_tokens)
        every, read = self.section.update_every, encoded.prompt_length
        if read < every and any(arm.schedule == "streaming" for arm in arms):
            raise DataError(
                f"tasks.{item.task}: sample {item.number} has {read} tokens, shorter than one update "
                f"(update_every={every}), so no policy would evict anything; use longer lengths or a smaller update_every"
            )
        context = self.language.max_context
        if context is not None and needed > context:
            raise DataError(
                f"tasks.{item.task}: sample {item.number} needs {needed} tokens, {self.language.name} was built for "
                f"{context}; use shorter lengths"
            )
