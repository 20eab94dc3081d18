"""The tasks of an evolution file: training tasks, held-out tasks, and the file that evaluates the latter."""

from typing import Any

from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.config.save import to_mapping
from namm_xmodal.config.tasks import build_task
from namm_xmodal.errors import ConfigError

BASELINES = ("recency", "random", "streaming_llm", "keydiff", "h2o", "snapkv", "tova")


def training_tasks(config: EvolveConfig) -> dict[str, Any]:
    """Label to task.

    Raises:
        UnknownNameError: If there is no such task.
        ConfigError: If a field is unknown or of the wrong type, or a number of samples is given.
    """
    tasks = {}
    for label, spec in config.tasks.items():
        if "n" in spec:
            raise ConfigError(
                f"tasks.{label}.n: {spec['n']!r}: not a key of a training task; set `pool` and `samples` instead"
            )
        tasks[label] = build_task({**spec, "n": config.pool}, f"tasks.{label}")[0]
    return tasks


def held_out_tasks(config: EvolveConfig) -> dict[str, tuple[Any, int]]:
    """Label to task and number of samples.

    Raises:
        UnknownNameError: If there is no such task.
        ConfigError: As for an evaluation, or if a task is trained on with the very same fields.
    """
    trained = training_tasks(config)
    tasks = {label: build_task(spec, f"held_out.{label}") for label, spec in config.held_out.items()}
    for label, (task, _) in tasks.items():
        for other, same in trained.items():
            if task == same:
                raise ConfigError(
                    f"held_out.{label}: the same task with the same fields as tasks.{other}, so it would not be held "
                    "out; use another task, length or source"
                )
    return tasks


def held_out_evaluation(config: EvolveConfig, policy: str) -> dict[str, Any] | None:
    """The file with which `namm-xmodal eval` evaluates a run on its held-out tasks; None without any.

    Args:
        config: The run's configuration.
        policy: Folder of the evolved policy.
    """
    if not config.held_out:
        return None
    policies: dict[str, Any] = {"full": {"policy": "full"}, "namm": {"policy": "namm", "path": policy}}
    section = {
        "model": config.models[0],
        "dtype": config.dtype,
        "device": config.device,
        "threads": config.threads,
        "seed": config.seed + 2,
        "tasks": to_mapping(config)["held_out"],
        "policies": {**policies, **{name: {"policy": name} for name in BASELINES}},
        "update_every": config.update_every,
        "protect_first": config.protect_first,
        "protect_recent": config.protect_recent,
        "attention": "tiled",
    }
    return {"language": section, "output": f"{config.run}/held_out"}
