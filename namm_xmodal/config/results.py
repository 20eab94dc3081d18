"""What the configurations of all results have in common: how they are read, and which budgets make sense."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from namm_xmodal.config.loader import load_mapping, resolve_config
from namm_xmodal.config.overrides import apply_overrides
from namm_xmodal.config.validation import Strict, validate

Config = TypeVar("Config", bound=Strict)


def load_results_config(
    kind: type[Config], name: str | Path, overrides: Sequence[str] = (), output: str | None = None
) -> Config:
    """Reads, merges, overrides and validates.

    Args:
        kind: The model of the configuration.
        name: Path or packaged name of a YAML file.
        overrides: `a.b=c` assignments.
        output: Folder of the results; wins over the file's `output`, which defaults to `results/<name of the file>`.

    Raises:
        ConfigError: With one line that names file, key, value and what is expected.
    """
    from namm_xmodal.config.commands import refuse_other_command  # which knows the model of every command

    path = resolve_config(name)
    content = load_mapping(path)
    refuse_other_command(kind, content, str(name))
    content = apply_overrides(content, overrides)
    content["output"] = output or content.get("output") or f"results/{path.stem}"
    return validate(kind, content, str(name))


def without_adapter(content: Any, only: str) -> Any:
    """Drops `adapter`, which earlier versions wrote into every results folder: each command has one, nothing reads it.

    Args:
        content: Of a file.
        only: The value that the command's files had; another one stays, and is refused as an unknown key.
    """
    if isinstance(content, dict) and content.get("adapter") == only:
        return {key: value for key, value in content.items() if key != "adapter"}
    return content


def check_budgets(budgets: tuple[int | float, ...]) -> tuple[int | float, ...]:
    """Refuses budgets that are not sizes, and sizes given twice; for pydantic, hence ValueError.

    Raises:
        ValueError: With the budget and what is expected.
    """
    for budget in budgets:
        if isinstance(budget, float) and not 0 < budget <= 1:
            raise ValueError(f"{budget}: expected a fraction in (0, 1]; write an integer for a number of tokens")
        if isinstance(budget, int) and budget < 1:
            raise ValueError(f"{budget}: expected at least 1 token, or a fraction in (0, 1] such as 0.5")
    if len(set(map(repr, budgets))) < len(budgets):
        raise ValueError(f"{list(budgets)}: a budget is given twice; remove one")
    return budgets
