"""A run of evolution as a table: one line per generation."""

from collections.abc import Sequence
from textwrap import wrap

from rich.table import Table
from rich.text import Text

from namm_xmodal.evolution.generation import Generation, Spread
from namm_xmodal.report.fitted import fitted

HEAD_WIDTH = 20
"""Longer names of tasks are folded."""


def generation_tables(generations: Sequence[Generation], last: int, width: int) -> list[Table]:
    """The last generations; scores are over the full cache's, as best / mean / worst of the population.

    Args:
        generations: At least one, in order.
        last: How many lines at most, in all tables together, but at least 3 in each.
        width: Of the terminal; no table is wider.
    """
    tables = _tables(generations[-last:], width)
    return tables if len(tables) == 1 else _tables(generations[-max(3, last // len(tables)) :], width)


def _tables(shown: Sequence[Generation], width: int) -> list[Table]:
    tasks = short_labels(shown)
    cells = {
        **{name: [_spread(each.tasks.get(label)) for each in shown] for label, name in tasks.items()},
        **{name: [_numbers(each)[name] for each in shown] for name in _numbers(shown[0])},
    }

    def make(columns: Sequence[str]) -> Table:
        table = Table(title_style="dim")
        for name in ("generation", *columns):
            table.add_column(Text("\n".join(wrap(name, HEAD_WIDTH))), justify="right", no_wrap=True)
        for line, each in enumerate(shown):
            table.add_row(str(each.generation), *(cells[name][line] for name in columns))
        return table

    tables = fitted(make, list(cells), width)
    tables[0].title = "score over the full cache's: best / mean / worst of the population"
    return tables


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
