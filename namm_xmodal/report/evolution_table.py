"""A run of evolution as a table: one line per generation."""

from collections.abc import Sequence

from rich.table import Table

from namm_xmodal.evolution.generation import Generation, Spread


def generation_table(generations: Sequence[Generation], last: int = 12) -> Table:
    """The last generations; scores are over the full cache's, as best / mean / worst of the population.

    Args:
        generations: In order.
        last: How many lines at most.
    """
    shown = generations[-last:]
    table = Table(title="score over the full cache's: best / mean / worst of the population", title_style="dim")
    table.add_column("generation", justify="right")
    tasks = short_labels(shown)
    for name in tasks.values():
        table.add_column(name, justify="right")
    for name in ("fitness", "kept", "weight", "sigma", "agreement", "seconds"):
        table.add_column(name, justify="right")
    for generation in shown:
        scores = [_spread(generation.tasks.get(label)) for label in tasks]
        table.add_row(str(generation.generation), *scores, *_numbers(generation).values())
    return table


def generation_line(generation: Generation) -> str:
    """One generation on one line, for logs."""
    scores = [f"{name} {_spread(generation.tasks.get(label))}" for label, name in short_labels([generation]).items()]
    numbers = [f"{name} {value}" for name, value in _numbers(generation).items()]
    return f"generation {generation.generation}: " + ", ".join([*scores, *numbers])


def short_labels(generations: Sequence[Generation]) -> dict[str, str]:
    """Label of every task to what is shown of it: where all are of one model, its name is left out."""
    labels = list(dict.fromkeys(label for generation in generations for label in generation.tasks))
    models = {label.rpartition("/")[0] for label in labels}
    return {label: label.rpartition("/")[2] if len(models) == 1 else label for label in labels}


def _numbers(generation: Generation) -> dict[str, str]:
    agreement = generation.agreement
    seconds = sum(value for part, value in generation.seconds.items() if "/" not in part)  # the rest is of workers
    return {
        "fitness": f"{generation.total.mean:.3f}",
        "kept": f"{generation.kept:.1%}",
        "weight": f"{generation.weight:.2f}",
        "sigma": f"{generation.sigma:.4f}",
        "agreement": "-" if agreement is None else f"{agreement:+.2f}",
        "seconds": f"{seconds:.1f}",
    }


def _spread(spread: Spread | None) -> str:
    return "-" if spread is None else f"{spread.best:.2f} / {spread.mean:.2f} / {spread.worst:.2f}"
