"""Decision Transformers in their environments; turns batches of episodes into outcomes."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from namm_xmodal.agents import CacheAgent, WindowAgent
from namm_xmodal.config.blame import named
from namm_xmodal.envs.agent import Agent
from namm_xmodal.envs.episode import Episode
from namm_xmodal.envs.rollout import rollout
from namm_xmodal.errors import ContractError, PluginError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.fit import Inputs, by_layer, calibrated, described
from namm_xmodal.evaluation.modality import Item, Kept, OnStatus, Outcome, Work
from namm_xmodal.modalities.rl.arms import Window, with_wrappers
from namm_xmodal.modalities.rl.facts import EpisodeFacts
from namm_xmodal.modalities.rl.fit import estimate_on, full_memory_inputs
from namm_xmodal.modalities.rl.loaded_agents import LoadedAgent, load_agents
from namm_xmodal.modalities.rl.preflight import check_rows
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.setups import find_setups
from namm_xmodal.policies.namm.statistics import FeatureStatistics


class RlSession:
    """Holds the models; the episodes of a batch are played side by side."""

    def __init__(self, section: RlSection) -> None:
        """Loads the models, and fetches those that are not on this machine yet."""
        self.section = section
        self._setups = find_setups(section)
        self.loaded_agents = {loaded.label: loaded for loaded in load_agents(section, self._setups)}
        self._statistics: dict[tuple[str, str], list[FeatureStatistics]] = {}
        self._inputs: dict[str, list[Inputs]] = {}
        self._fitted: dict[tuple[str, str], Any] = {}

    def run(self, work: Sequence[Work], on_status: OnStatus) -> Iterator[Outcome]:
        """See `Session.run`: one arm on one model's episodes after another."""
        arms = {arm.key: arm for each in work for arm, _ in each.by_arm()}
        check_rows(self.section, list(arms.values()), self._setups)  # of models that were not here before
        for each in work:
            for arm, items in each.by_arm():
                loaded = self.loaded_agents[items[0].content]
                yield from self._episodes(arm, loaded, items, on_status)

    def _episodes(self, arm: Arm, loaded: LoadedAgent, items: Sequence[Item], on_status: OnStatus) -> Iterator[Outcome]:
        section = self.section

        def on_step(step: int, running: int) -> None:
            if step % 20 == 0:
                on_status(f"{loaded.label} · {arm.label}: step {step}, {running} running")

        try:
            with named(f"policies.{arm.label}", arm.policy):
                policy = self.policy(arm, loaded, on_step)
                agent = self.agent(arm, loaded, policy)
                began = time.process_time()
                episodes = list(
                    rollout(
                        loaded.make,
                        agent,
                        [item.number for item in items],
                        loaded.target,
                        max_steps=section.max_steps,
                        batch=section.batch,
                        on_progress=on_step,
                    )
                )
        except (PluginError, ContractError) as error:
            yield from (Outcome.failed(item, arm, error, _broken(loaded), _model(loaded)) for item in items)
            return
        seconds = (time.process_time() - began) / len(items)
        for item, episode in zip(items, episodes, strict=True):
            yield _outcome(item, arm, loaded, policy, episode, seconds)

    def policy(self, arm: Arm, loaded: LoadedAgent, on_progress: Callable[[int, int], None]) -> Any:
        """The policy that prunes this model's cache: fitted once, then wrapped."""
        key = (arm.fingerprint, loaded.label)
        if key not in self._fitted:
            self._fitted[key] = with_wrappers(self._fit(arm, loaded, on_progress), self.section)
        return self._fitted[key]

    def agent(self, arm: Arm, loaded: LoadedAgent, policy: Any) -> Agent:
        """The acting agent."""
        if isinstance(arm.baseline, Window):
            return WindowAgent(loaded.agent_model, arm.baseline.steps)
        section = self.section
        return CacheAgent(
            loaded.agent_model,
            policy,
            update_every=section.update_every,
            protect_first=section.protect_first,
            protect_recent=section.protect_recent,
            watch=section.survivors,
        )

    def _fit(self, arm: Arm, loaded: LoadedAgent, on_progress: Callable[[int, int], None]) -> Any:
        policy, fit = arm.policy, arm.fit
        if policy is None:
            return None
        if fit.statistics != "frozen":
            features = f"{policy.features.name} {policy.features.config()}"
            if (loaded.label, features) not in self._statistics:
                self._statistics[loaded.label, features] = estimate_on(loaded, policy, self.section, on_progress)
            pooled, *layers = self._statistics[loaded.label, features]
            if fit.statistics == "estimated_by_layer":
                return by_layer(policy, layers)
            policy = policy.with_statistics(pooled)
        if fit.share is None:
            return policy
        if loaded.label not in self._inputs:
            self._inputs[loaded.label] = full_memory_inputs(loaded, self.section, on_progress)
        return calibrated(policy, loaded.agent_model.model, self._inputs[loaded.label], fit.share, self.section)


def _outcome(item: Item, arm: Arm, loaded: LoadedAgent, policy: Any, episode: Episode, seconds: float) -> Outcome:
    facts = EpisodeFacts(
        environment=episode.environment,
        target=loaded.target.total,
        length=episode.length,
        tokens_seen=episode.tokens_seen,
        kept_end=episode.kept_end,
        stop=episode.stop,
        survivors=episode.survivors,
    )
    fraction = episode.kept_end / episode.tokens_seen if episode.tokens_seen else 0.0
    return Outcome(
        item=item,
        arm=arm,
        scores={"return": episode.total} if episode.length else {},  # it broke before its first step: no return, not 0
        kept=replace(Kept(), fraction=fraction, tokens=episode.kept_mean),
        seconds={"episode": seconds},
        facts=facts,
        model=_model(loaded),
        status="failed" if episode.stop == "failed" else "scored",
        message=episode.message,
        fit=described(policy),
    )


def _model(loaded: LoadedAgent) -> dict[str, Any]:
    return {"name": loaded.label, "source": loaded.fingerprint, "dtype": str(loaded.agent_model.model.dtype)}


def _broken(loaded: LoadedAgent) -> EpisodeFacts:
    """Of an episode whose policy broke: nothing is known of it."""
    return EpisodeFacts(loaded.environment, loaded.target.total, 0, 0, 0.0, "failed", None)
