"""The table at the top of the page: every arm, its score and what it keeps in each section, against the full cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from namm_xmodal.report.comparison import Comparison, against_baselines, equal_size
from namm_xmodal.report.summary import Cell, Row, Summary
from namm_xmodal.report.words import digits_for, interval_words, no_interval, number


@dataclass(frozen=True)
class Entry:
    """One arm on one task, as the table shows it.

    Attributes:
        row: The arm's row.
        cell: Of the task's first headline metric; None if nothing was scored.
        digits: After the point.
    """

    row: Row
    cell: Cell | None
    digits: int

    @property
    def score(self) -> str:
        """The score."""
        return "-" if self.cell is None else number(self.cell.score.value, self.digits)

    @property
    def interval(self) -> str:
        """Its interval."""
        if self.cell is None or self.cell.score.low is None or self.cell.score.high is None:
            return no_interval(self.cell.score) if self.cell else ""
        return f"[{number(self.cell.score.low, self.digits)}, {number(self.cell.score.high, self.digits)}]"

    def group(self, tag: str, value: str) -> str:
        """Score and interval of the items with a value of a tag."""
        found = self.row.groups.get(tag, {}).get(value)
        return "-" if found is None else interval_words(found, self.digits)

    @property
    def relative(self) -> str:
        """Relative to the full cache, with interval; empty where that says nothing."""
        found = None if self.cell is None else self.cell.relative
        if found is None:
            return ""
        interval = "" if found.low is None or found.high is None else f" [{found.low:.0%}, {found.high:.0%}]"
        return f"{found.value:.0%}{interval}"

    @property
    def kept(self) -> str:
        """What is kept when the answer is due."""
        return f"{self.row.kept.fraction:.1%}"


@dataclass(frozen=True)
class TaskTable:
    """All arms on one task.

    Attributes:
        section: Name of the section.
        task: Name of the task.
        metric: The first headline metric.
        lower_is_better: Of that metric.
        n: Most items that an arm was scored on.
        full: Whether the full cache is among the arms, so that something can be relative to it.
        lost: Why items have no score, `skipped` or `failed`, where some have none.
        entries: Arms, NAMMs first, then the full cache, then baselines by size.
        groups: Tags by which scores are shown apart, and their values.
    """

    section: str
    task: str
    metric: str
    lower_is_better: bool
    n: int
    full: bool
    lost: tuple[str, ...]
    entries: tuple[Entry, ...]
    groups: Mapping[str, Sequence[str]]


def task_tables(summary: Summary) -> list[TaskTable]:
    """One table for each task that has a score."""
    found = []
    for section in summary.sections():
        for task in summary.tasks(section):
            metrics = summary.headline(section, task)
            if not metrics:
                continue
            metric, rows = metrics[0], summary.of(section, task)
            cells = {row.arm: row.cells.get(metric.name) for row in rows}
            digits = digits_for(cell.score.value for cell in cells.values() if cell)
            ordered = sorted(rows, key=lambda row: (not row.learned, not row.full))
            entries = tuple(Entry(row, cells[row.arm], digits) for row in ordered)
            n = max((cell.score.n for cell in cells.values() if cell), default=0)
            groups = {tag: [value for _, value in held] for tag, held in summary.tags(section, task).items()}
            full = any(row.full for row in rows)
            lost = tuple(status for status in ("skipped", "failed") if any(row.count(status) for row in rows))
            lower = not metric.higher_is_better
            found.append(TaskTable(section, task, metric.name, lower, n, full, lost, entries, groups))
    return found


@dataclass(frozen=True)
class Overall:
    """One policy in one section, over all its tasks.

    Attributes:
        relative: Mean of the score relative to the full cache's, over the tasks that have one; None where none has.
        kept: Mean share of the cache that is kept, over all tasks.
        without: Tasks without a relative score.
    """

    relative: float | None
    kept: float
    without: tuple[str, ...]


def overview(summary: Summary) -> dict[str, dict[str, Overall]]:
    """Policy to section: relative scores, each baseline at the smallest size that is not below the first NAMM's.

    Without a NAMM every policy is shown at its smallest size. NAMMs come first. Schedules are apart, as in `Row.label`.
    """
    found: dict[str, dict[str, Overall]] = {}
    ordered = sorted(summary.rows, key=lambda row: not row.learned)
    for policy in dict.fromkeys(row.label for row in ordered if not row.full):
        for section in summary.sections():
            chosen = [row for task in summary.tasks(section) if (row := _at_size(summary, section, task, policy))]
            if chosen:
                found.setdefault(policy, {})[section] = _overall(summary, chosen)
    return found


def _at_size(summary: Summary, section: str, task: str, policy: str) -> Row | None:
    rows = [row for row in summary.of(section, task) if row.cells]
    own = sorted((row for row in rows if row.label == policy), key=lambda row: row.kept.fraction)
    if not own or own[0].learned:
        return own[0] if own else None
    alike = [row for row in rows if row.learned and own[0].schedule in (row.schedule, "before", "none")]
    leading = min(alike, key=lambda row: row.kept.fraction, default=None)
    return own[0] if leading is None else equal_size(leading, own)


def _overall(summary: Summary, rows: Sequence[Row]) -> Overall:
    shares, without = [], []
    for row in rows:
        metric = summary.headline(row.section, row.task)[0].name
        share = row.cells[metric].relative if metric in row.cells else None
        if share is None:
            without.append(row.task)
        else:
            shares.append(share.value)
    mean = sum(shares) / len(shares) if shares else None
    return Overall(mean, sum(row.kept.fraction for row in rows) / len(rows), tuple(without))


@dataclass(frozen=True)
class Tally:
    """A NAMM against one baseline in one section.

    Attributes:
        section: Name of the section.
        ours: Label and size of the NAMM.
        theirs: Label of the baseline.
        comparisons: One for each task.
    """

    section: str
    ours: str
    theirs: str
    comparisons: tuple[Comparison, ...]

    def count(self, verdict: str) -> int:
        """Tasks with a verdict."""
        return sum(each.verdict == verdict for each in self.comparisons)


def tallies(summary: Summary) -> list[Tally]:
    """Wins, ties and losses of every NAMM against every baseline at an equal or larger cache."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for row in summary.rows:
        if row.learned:
            for each in against_baselines(summary, row):
                groups.setdefault((row.section, f"{row.label}, {row.size}", each.theirs.label), []).append(each)
    return [Tally(*key, tuple(group)) for key, group in groups.items()]


def verdict_words(comparison: Comparison) -> str:
    """One comparison in a sentence."""
    found = comparison.difference
    n = "" if found.n == 1 else f", n = {found.n}"
    ours, theirs = comparison.kept
    return (
        f"{comparison.ours.task}: {comparison.metric} {interval_words(found, 3, sign=True)}{n}, at "
        f"{ours:.1%} against {theirs:.1%} kept"
    )
