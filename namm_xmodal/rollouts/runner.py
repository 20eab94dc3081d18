"""Runs what is missing, model by model and policy by policy, each episode onto the disk."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version

from namm_xmodal.agents import CacheAgent, WindowAgent
from namm_xmodal.config import RolloutConfig, rollout_digest
from namm_xmodal.envs.agent import Agent
from namm_xmodal.envs.rollout import rollout
from namm_xmodal.evaluation.journal import Notice
from namm_xmodal.evaluation.results_folder import Progress, open_results
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.policies.namm import Namm
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.rollouts.estimate import estimate_on, use_statistics
from namm_xmodal.rollouts.plan import Run, make_plan
from namm_xmodal.rollouts.players import Player, load_players
from namm_xmodal.rollouts.preflight import check_rows
from namm_xmodal.rollouts.record import RolloutRecord
from namm_xmodal.rollouts.setups import find_setups


def run_rollouts(
    config: RolloutConfig,
    *,
    fresh: bool = False,
    progress: Progress = lambda done, total, what: None,
    notice: Notice = lambda text: None,
) -> list[RolloutRecord]:
    """Plays all episodes that are missing and returns all records, earlier ones of the same folder included.

    Args:
        config: What to play and where results go.
        fresh: Set earlier results aside instead of going on from them.
        progress: Called as `progress(done, total, what)`.
        notice: Told what is worth knowing: a torn line, a target outside the data, episodes that failed.

    Raises:
        NammError: On the user's mistakes, before an episode is played.
    """
    plan = make_plan(config)
    setups = find_setups(config)
    check_rows(config, plan, setups)
    players = load_players(config, setups, notice)
    versions = {**software_versions(), "gymnasium": version("gymnasium"), "mujoco": version("mujoco")}
    digest = rollout_digest(config)
    fingerprints = {
        (run.label, repr(run.budget), player.label): f"{run.fingerprint}@{player.fingerprint}"
        for run in plan
        for player in players
    }
    with open_results(
        config,
        digest,
        fingerprints,
        lambda record: record.key[:3],
        fresh=fresh,
        notice=notice,
        read=RolloutRecord.from_json,
        versions=versions,
    ) as journal:
        seeds = range(config.seed, config.seed + config.episodes)
        done = {record.key for record in journal.records}
        total = len(plan) * len(players) * len(seeds)
        finished = sum(
            (run.label, repr(run.budget), player.label, seed) in done
            for run in plan
            for player in players
            for seed in seeds
        )
        if 0 < finished < total:
            notice(f"going on after {finished} of {total} episodes in {config.output}")
        estimated: dict[tuple[str, str], list[FeatureStatistics]] = {}
        for run in plan:
            for player in players:
                left = [seed for seed in seeds if (run.label, repr(run.budget), player.label, seed) not in done]
                if not left:
                    continue
                what = f"{player.label} · {run.label} {run.size}"

                def told(step: int, running: int, what: str = what, finished: int = finished) -> None:
                    if step % 20 == 0:
                        progress(finished, total, f"{what}: step {step}, {running} running")

                ready = prepared(run, player, config, estimated, told)
                names = {"fingerprint": f"{run.fingerprint}@{player.fingerprint}", "config": digest}
                for record in _episodes(ready, player, config, left, told, names, versions):
                    journal.append(record)
                    finished += 1
                    progress(finished, total, what)
                    if record.episode["message"]:
                        notice(f"{what}, seed {record.episode['seed']}: {record.episode['message']}")
        return in_order(journal.records, plan, players, set(seeds))


def in_order(
    records: list[RolloutRecord], plan: list[Run], players: list[Player], seeds: set[int]
) -> list[RolloutRecord]:
    """The plan's records by run, model and seed; an earlier run in the folder may have had more."""
    runs = {(run.label, repr(run.budget)): i for i, run in enumerate(plan)}
    models = {player.label: i for i, player in enumerate(players)}
    wanted = [
        record
        for record in records
        if record.key[:2] in runs and record.model in models and record.episode["seed"] in seeds
    ]
    return sorted(wanted, key=lambda record: (runs[record.key[:2]], models[record.model], record.episode["seed"]))


def prepared(
    run: Run,
    player: Player,
    config: RolloutConfig,
    estimated: dict[tuple[str, str], list[FeatureStatistics]],
    told: Callable[[int, int], None],
) -> Run:
    """The run with its policy as it is used on this model."""
    policy = run.policy
    if run.statistics in ("estimated", "estimated_by_layer") and isinstance(policy, Namm):
        features = f"{policy.features.name} {policy.features.config()}"
        if (player.label, features) not in estimated:
            estimated[player.label, features] = estimate_on(player, policy, config, told)
        policy = use_statistics(
            policy, estimated[player.label, features], by_layer=run.statistics == "estimated_by_layer"
        )
    return replace(run, policy=run.dressed(policy, config))


def agent_of(run: Run, player: Player, config: RolloutConfig) -> Agent:
    """Who acts in this run."""
    if run.window is not None:
        return WindowAgent(player.body, run.window)
    return CacheAgent(
        player.body,
        run.policy,
        update_every=config.update_every,
        protect_first=config.protect_first,
        protect_recent=config.protect_recent,
        watch=config.survivors,
    )


def _episodes(
    run: Run,
    player: Player,
    config: RolloutConfig,
    seeds: list[int],
    told: Callable[[int, int], None],
    names: dict[str, str],
    versions: dict[str, str],
) -> Iterator[RolloutRecord]:
    agent = agent_of(run, player, config)
    for start in range(0, len(seeds), config.batch):
        group = seeds[start : start + config.batch]
        began, started = time.process_time(), datetime.now(UTC).isoformat(timespec="seconds")
        episodes = list(
            rollout(
                player.make,
                agent,
                group,
                player.target,
                max_steps=config.max_steps,
                batch=config.batch,
                told=told,
            )
        )
        seconds = (time.process_time() - began) / len(group)
        for episode in episodes:
            yield RolloutRecord(
                policy=run.label,
                budget=run.budget,
                size=run.size,
                statistics=run.statistics,
                model=player.label,
                target=player.target.total,
                episode=episode.to_json(),
                cpu_seconds=round(seconds, 3),
                started=started,
                **names,
                versions=versions,
            )
