"""The modality `rl`."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from namm_xmodal.errors import ConfigError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.bootstrap import Estimator
from namm_xmodal.evaluation.exhibit import Exhibit
from namm_xmodal.evaluation.modality import Item, Metric, Modality, Session
from namm_xmodal.evaluation.record import Record
from namm_xmodal.modalities.rl.facts import EpisodeFacts
from namm_xmodal.modalities.rl.section import WINDOW_POLICY, RlSection


class ReinforcementLearning(Modality):
    """Episodes of Decision Transformers whose memory is pruned."""

    name = "rl"
    section = RlSection
    facts = EpisodeFacts
    arms_together = False
    own_policies = frozenset({WINDOW_POLICY})
    named_by_records = frozenset({"model", "model_seeds", "episodes", "score", "dataset", "references"})

    def items(self, section: RlSection) -> Sequence[Item]:
        """Episodes of each model, batch by batch."""
        from namm_xmodal.agents.checkpoint import find_checkpoints

        task = section.environment or section.model.rstrip("/").rsplit("/", 1)[-1]
        return [
            Item(f"{label}#{seed}", task, seed, f"{label}/{number // section.batch}", label, {"model": label}, label)
            for label in find_checkpoints(section.model, section.model_seeds)
            for number, seed in enumerate(range(section.seed, section.seed + section.episodes))
        ]

    def arms(self, section: RlSection) -> Sequence[Arm]:
        """See `Modality.arms`."""
        from namm_xmodal.modalities.rl.arms import rl_arms

        if section.score == "measured" and section.references is None:
            raise ConfigError("references: missing; measured scores need two returns, for example [18.0, 3600.0]")
        if section.score == "dataset" and section.dataset is None:
            raise ConfigError("dataset: missing; score: dataset needs the name of a Minari dataset")
        return rl_arms(section)

    def open(self, section: RlSection) -> Session:
        """See `Modality.open`."""
        from namm_xmodal.modalities.rl.session import RlSession

        return RlSession(section)

    def exhibits(self, section: RlSection, arms: Sequence[Arm]) -> Sequence[Exhibit]:
        """See `Modality.exhibits`."""
        from namm_xmodal.modalities.rl.exhibits import episode_exhibits

        return episode_exhibits(section, arms)

    def exhibits_of_records(self, section: RlSection, records: Sequence[Record]) -> Sequence[Exhibit]:
        """Which tokens survive, where `survivors` is set."""
        from namm_xmodal.modalities.rl.exhibits import survivors

        return survivors(records)

    def check(
        self, section: RlSection, items: Sequence[Item], arms: Sequence[Arm], notice: Callable[[str], None]
    ) -> None:
        """See `Modality.check`: environments, sizes, and the dataset that scores need."""
        from namm_xmodal.modalities.rl.normalise import normaliser_of
        from namm_xmodal.modalities.rl.preflight import check_rollout

        for setup in check_rollout(section, arms, notice):
            normaliser_of(section, setup.environment)  # says now whether the dataset of its scores is at hand

    def versions(self) -> Mapping[str, str]:
        """Of the environments."""
        from namm_xmodal.evaluation.versions import installed

        return installed("gymnasium", "mujoco")

    def scores(self, section: RlSection, facts: EpisodeFacts, scores: Mapping[str, float]) -> Mapping[str, float]:
        """The return, and what `score` makes of it."""
        from namm_xmodal.modalities.rl.normalise import normaliser_of

        normaliser = normaliser_of(section, facts.environment)
        if normaliser is None or "return" not in scores:
            return {"success": scores["return"]} if section.score == "success" and scores else scores
        return {f"{normaliser.name} score": float(normaliser(np.array(scores["return"]))), **scores}

    def metrics(self, section: RlSection, task: str, names: Sequence[str]) -> Sequence[Metric]:
        """Interquartile means over models and episodes; of successes, means."""
        estimator: Estimator = "mean" if section.score == "success" else "iqm"
        return [Metric(name, estimator=estimator, stratified=True) for name in names]
