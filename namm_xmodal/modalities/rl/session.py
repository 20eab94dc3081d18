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
from namm_xmodal.evaluation.modality import Item, Kept, Outcome, Told, Work
from namm_xmodal.modalities.rl.arms import Window, with_wrappers
from namm_xmodal.modalities.rl.facts import EpisodeFacts
from namm_xmodal.modalities.rl.fit import estimate_on, full_memory_inputs
from namm_xmodal.modalities.rl.players import Player, load_players
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
        self.players = {player.label: player for player in load_players(section, self._setups)}
        self._statistics: dict[tuple[str, str], list[FeatureStatistics]] = {}
        self._inputs: dict[str, list[Inputs]] = {}
        self._fitted: dict[tuple[str, str], Any] = {}

    def run(self, work: Sequence[Work], told: Told) -> Iterator[Outcome]:
        """See `Session.run`: one arm on one model's episodes after another."""
        arms = {arm.key: arm for each in work for arm, _ in each.by_arm()}
        check_rows(self.section, list(arms.values()), self._setups)  # of models that were not here before
        for each in work:
            for arm, items in each.by_arm():
                player = self.players[items[0].content]
                yield from self._episodes(arm, player, items, told)

    def _episodes(self, arm: Arm, player: Player, items: Sequence[Item], told: Told) -> Iterator[Outcome]:
        section = self.section

        def step_told(step: int, running: int) -> None:
            if step % 20 == 0:
                told(f"{player.label} · {arm.label}: step {step}, {running} running")

        try:
            with named(f"policies.{arm.label}", arm.policy):
                policy = self.policy(arm, player, step_told)
                agent = self.agent(arm, player, policy)
                began = time.process_time()
                episodes = list(
                    rollout(
                        player.make,
                        agent,
                        [item.number for item in items],
                        player.target,
                        max_steps=section.max_steps,
                        batch=section.batch,
                        told=step_told,
                    )
                )
        except (PluginError, ContractError) as error:
            yield from (Outcome.failed(item, arm, error, _broken(player), _model(player)) for item in items)
            return
        seconds = (time.process_time() - began) / len(items)
        for item, episode in zip(items, episodes, strict=True):
            yield _outcome(item, arm, player, policy, episode, seconds)

    def policy(self, arm: Arm, player: Player, told: Callable[[int, int], None]) -> Any:
        """What prunes this model's memory: fitted once, then wrapped."""
        key = (arm.fingerprint, player.label)
        if key not in self._fitted:
            self._fitted[key] = with_wrappers(self._fit(arm, player, told), self.section)
        return self._fitted[key]

    def agent(self, arm: Arm, player: Player, policy: Any) -> Agent:
        """Who acts."""
        if isinstance(arm.baseline, Window):
            return WindowAgent(player.body, arm.baseline.steps)
        section = self.section
        return CacheAgent(
            player.body,
            policy,
            update_every=section.update_every,
            protect_first=section.protect_first,
            protect_recent=section.protect_recent,
            watch=section.survivors,
        )

    def _fit(self, arm: Arm, player: Player, told: Callable[[int, int], None]) -> Any:
        policy, fit = arm.policy, arm.fit
        if policy is None:
            return None
        if fit.statistics != "frozen":
            features = f"{policy.features.name} {policy.features.config()}"
            if (player.label, features) not in self._statistics:
                self._statistics[player.label, features] = estimate_on(player, policy, self.section, told)
            pooled, *layers = self._statistics[player.label, features]
            if fit.statistics == "estimated_by_layer":
                return by_layer(policy, layers)
            policy = policy.with_statistics(pooled)
        if fit.share is None:
            return policy
        if player.label not in self._inputs:
            self._inputs[player.label] = full_memory_inputs(player, self.section, told)
        return calibrated(policy, player.body.model, self._inputs[player.label], fit.share, self.section)


def _outcome(item: Item, arm: Arm, player: Player, policy: Any, episode: Episode, seconds: float) -> Outcome:
    facts = EpisodeFacts(
        environment=episode.environment,
        target=player.target.total,
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
        model=_model(player),
        status="failed" if episode.stop == "failed" else "scored",
        message=episode.message,
        fit=described(policy),
    )


def _model(player: Player) -> dict[str, Any]:
    return {"name": player.label, "source": player.fingerprint, "dtype": str(player.body.model.dtype)}


def _broken(player: Player) -> EpisodeFacts:
    """Of an episode whose policy broke: nothing is known of it."""
    return EpisodeFacts(player.environment, player.target.total, 0, 0, 0.0, "failed", None)
