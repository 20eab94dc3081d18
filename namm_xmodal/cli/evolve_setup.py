"""Builds the parts of a run from a configuration of `namm-xmodal evolve`; mistakes are found before a model is loaded."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from namm_xmodal.cli.evolve_start import start_schedule, start_schedules, start_vector
from namm_xmodal.config.blame import named
from namm_xmodal.config.building import at
from namm_xmodal.config.evolve import EvolveConfig, evolve_digest
from namm_xmodal.config.evolve_tasks import held_out_tasks, training_tasks
from namm_xmodal.config.save import to_mapping
from namm_xmodal.errors import BudgetError, ConfigError, MissingDependencyError, NammError
from namm_xmodal.evolution.arrays import digest
from namm_xmodal.evolution.evaluators.evaluator import Evaluator
from namm_xmodal.evolution.evaluators.in_process import InProcess
from namm_xmodal.evolution.evaluators.pools import processes, ray_cluster
from namm_xmodal.evolution.objective import Shard
from namm_xmodal.evolution.run import RunSettings
from namm_xmodal.evolution.size_pressure import SizePressure
from namm_xmodal.evolution.strategy import Strategy
from namm_xmodal.evolution.table import build_strategy
from namm_xmodal.evolution.tracking.tracker import Tracker
from namm_xmodal.fitness import AgreeSettings, MixtureFactory, ObjectiveSettings, TemplateSpec, make_template
from namm_xmodal.fitness.agree import PREFIX
from namm_xmodal.fitness.population_run import PruningSettings
from namm_xmodal.policies.namm import Features, FeatureStatistics, Namm, make_features
from namm_xmodal.report.words import counted, listed


@dataclass(frozen=True)
class Setup:
    """A run that is ready except for its feature statistics.

    Attributes:
        config: What it is made from.
        objective: The tasks of the fitness, and how members prune.
        agree: The sources of agreement of the fitness.
        pressure: Penalty per kept token.
        strategy: Not yet asked.
        trackers: Not yet started.
    """

    config: EvolveConfig
    objective: ObjectiveSettings
    agree: AgreeSettings
    pressure: SizePressure
    strategy: Strategy
    trackers: tuple[Tracker, ...]

    def template(self, statistics: FeatureStatistics) -> TemplateSpec:
        """What members share."""
        return _template(self.config, statistics)

    def evaluator(self, statistics: FeatureStatistics) -> Evaluator:
        """The evaluator that scores members, not yet started."""
        return _evaluator(self.config, self.factory(statistics))

    def factory(self, statistics: FeatureStatistics) -> MixtureFactory:
        """Makes the objective in a worker."""
        return MixtureFactory(self.objective, self.template(statistics), self.agree)

    def validation(self) -> "Setup":
        """The same tasks and sources with samples that no generation used.

        The videos of a benchmark on disk are left out: they have one order, so there are no fresh ones.
        """
        count = max(1, self.config.validation)
        tasks = replace(self.objective, seed=self.objective.seed + 1, samples=count, pool=count)
        fresh = {
            name: each.model_copy(update={"seed": each.seed + 1, "count": max(count, each.count), "samples": None})
            for name, each in self.agree.sources.items()
            if not getattr(each, "data", "")
        }
        return replace(self, objective=tasks, agree=replace(self.agree, sources=fresh, samples=count))

    def fresh_shards(self) -> list[Shard]:
        """One shard for each sample of `validation()`: those of a task, or of a source, together."""
        count, models = self.objective.pool, self.objective.models
        shards = [Shard(task, (i,), model) for task in self.objective.tasks for model in models for i in range(count)]
        for name, source in self.agree.sources.items():
            shards += [Shard(PREFIX + name, (i,), source.model) for i in range(count)]
        return shards

    def settings(self, statistics: FeatureStatistics) -> RunSettings:
        """What the run is, for its journal."""
        config = self.config
        return RunSettings(
            generations=config.generations,
            config=evolve_digest(config, statistics_digest(statistics)),
            seed=config.seed,
            pressure=self.pressure,
            after=Path(config.after) if config.after else None,
            description=to_mapping(config),
        )

    @property
    def trained_on(self) -> str:
        """Tasks and sources, in words."""
        parts = []
        if self.objective.tasks:
            parts.append(f"{counted(len(self.objective.tasks), 'task')} of {', '.join(self.objective.models)}")
        if self.agree.sources:
            parts.append(f"agreement of {listed(source.model for source in self.agree.sources.values())}")
        return " and ".join(parts)

    @property
    def samples_at_once(self) -> int:
        """Samples of a gradient step or of a generation: of all tasks, models and sources."""
        config, sources = self.config, self.agree.sources.values()
        of_tasks = config.samples * len(self.objective.tasks) * len(config.models)
        return of_tasks + sum(source.samples or config.samples for source in sources)

    def tokens(self) -> int:
        """Approximate number of tokens of text that the models read per generation, without cached base scores."""
        config, total = self.config, 0.0
        models = max(1, len(config.models))
        for task in self.objective.tasks.values():
            length = float(np.mean(task.length))
            shared = min(length, config.update_every - 1)
            total += config.samples * (shared + self.strategy.population * (length - shared))
        for source in self.agree.sources.values():
            if source.length is None:  # videos and episodes have no length before they are read
                continue
            length, shared = source.length, source.update_every - 1
            samples = source.samples or config.samples
            total += samples * (shared + self.strategy.population * max(0, length - shared)) / models
        return round(total * models)


def make_setup(config: EvolveConfig) -> Setup:
    """Builds and checks everything that needs no model.

    Raises:
        NammError: On the user's mistakes, with the place in the configuration.
    """
    tasks = training_tasks(config)
    held_out_tasks(config)
    objective = ObjectiveSettings(
        models=config.models,
        tasks=tasks,
        samples=config.samples,
        pool=config.pool,
        pruning=PruningSettings(config.update_every, config.protect_first, config.protect_recent),
        seed=config.seed,
        dtype=config.dtype,
        device=config.device,
        threads=config.threads,
        rows=config.rows,
    )
    spec = _template(config, no_statistics(config))
    try:
        template = make_template(spec)
    except BudgetError as error:
        raise at("max_tokens", error) from None
    template.check_clock(config.update_every, config.protect_first, config.protect_recent)
    agree = AgreeSettings(
        config.agree_sources(),
        config.samples,
        config.protect_first,
        config.protect_recent,
        config.seed,
        config.rows,
        start_schedules(config),
    )
    for name, source in agree.sources.items():
        with named(f"agree.{name}"):
            template.check_clock(source.update_every, config.protect_first, config.protect_recent)
    _evaluator(config, MixtureFactory(objective, spec, agree))  # says now whether an extra is missing
    return Setup(config, objective, agree, _pressure(config), _strategy(config, template), _trackers(config))


def no_statistics(config: EvolveConfig) -> FeatureStatistics:
    """Placeholder for statistics that are not known yet: features stay raw."""
    return Namm.untrained("zeros", features=features_of(config)).statistics


def features_of(config: EvolveConfig) -> Features:
    """What the run's policies see."""
    return make_features(config.features, ema_coefficient=config.ema_coefficient)


def statistics_digest(statistics: FeatureStatistics) -> str:
    """Fingerprint of the numbers."""
    return digest(np.stack([statistics.mean.double().numpy(), statistics.std.double().numpy()]))


def _template(config: EvolveConfig, statistics: FeatureStatistics) -> TemplateSpec:
    return TemplateSpec(
        mean=tuple(statistics.mean.double().tolist()),
        std=tuple(statistics.std.double().tolist()),
        source=statistics.source,
        count=statistics.count,
        scorer=config.scorer,
        features=config.features,
        ema_coefficient=config.ema_coefficient,
        threshold=config.threshold,
        max_tokens=config.max_tokens,
        schedule=start_schedule(config),
    )


def _pressure(config: EvolveConfig) -> SizePressure:
    try:
        return SizePressure(**to_mapping(config.size_pressure))
    except ConfigError as error:
        raise at("size_pressure", error) from None


def _strategy(config: EvolveConfig, template: Namm) -> Strategy:
    options = {key: value for key, value in to_mapping(config.strategy).items() if value is not None}
    try:
        return build_strategy(options.pop("name"), start_vector(config, template), **{"seed": config.seed, **options})
    except ConfigError as error:
        raise (error if str(error).startswith(("strategy", "start")) else at("strategy", error)) from None
    except TypeError as error:  # an option of the wrong type, compared with a number
        raise ConfigError(f"strategy: {options}: an option has the wrong type ({error})") from None


def _evaluator(config: EvolveConfig, factory: MixtureFactory) -> Evaluator:
    options = config.evaluator
    if options.kind == "processes":
        return processes(
            factory, options.workers, threads=config.threads, retries=options.retries, silence=options.silence
        )
    if options.kind == "ray":
        return ray_cluster(
            factory,
            options.workers,
            address=options.address,
            num_gpus=options.num_gpus,
            num_cpus=options.num_cpus,
            retries=options.retries,
            silence=options.silence,
        )
    return InProcess(factory)


def _trackers(config: EvolveConfig) -> tuple[Tracker, ...]:
    options, folder = config.tracking, Path(config.run)
    trackers: list[Tracker] = []
    try:
        if options.tensorboard:
            from namm_xmodal.evolution.tracking.tensorboard import TensorBoardTracker

            trackers.append(TensorBoardTracker(folder / "tensorboard"))
        if options.wandb:
            from namm_xmodal.evolution.tracking.wandb import WandbTracker

            trackers.append(WandbTracker(folder, project=options.project, mode=options.mode))
    except MissingDependencyError as error:
        raise NammError(f"tracking: {error}") from None
    return tuple(trackers)
