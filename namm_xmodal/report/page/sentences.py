"""The sentences of the page about its results."""

from collections.abc import Mapping, Sequence

from namm_xmodal.report.page.headline import Overall
from namm_xmodal.report.summary import Row, Summary
from namm_xmodal.report.words import counted, listed


def sections_in_words(summary: Summary) -> Sequence[str]:
    """One line for each section: model, tasks, items, arms."""
    lines = []
    for section in summary.sections():
        rows = summary.of(section)
        models = sorted({record.model["name"] for row in rows for record in row.records if record.model})
        items = {(row.task, record.item) for row in rows for record in row.records}
        skipped = {(row.task, each.item) for row in rows for each in row.records if each.status == "skipped"}
        arms = {row.arm for row in rows}
        lost = f", {len(skipped):,} of them skipped" if skipped else ""
        lines.append(
            f"{section}: {', '.join(models)}; {counted(len(items), 'item')}{lost} of {listed(summary.tasks(section))}; "
            f"{counted(len(arms), 'arm')}"
        )
    return lines


def policies_in_words(summary: Summary) -> str:
    """Which policies are NAMMs, how they were trained, and what the others are."""
    origins: dict[str, dict[str, None]] = {}
    for row in summary.rows:
        if row.learned:
            origins.setdefault(row.policy, {})[row.origin] = None
    others = {row.policy for row in summary.rows if not row.learned and not row.full}
    if not origins:
        return f"No NAMM is among the policies{'; all are baselines' if others else ''}."
    namms = "; ".join(f"{label} ({' or '.join(ways)})" for label, ways in origins.items())
    rest = " Every other policy is a baseline." if others else ""
    return f"{'NAMM' if len(origins) == 1 else 'NAMMs'}: {namms}.{rest}"


def size_rule(summary: Summary) -> str:
    """At which sizes the overview shows policies."""
    with_namm = [section for section in summary.sections() if any(row.learned for row in summary.of(section))]
    without = [section for section in summary.sections() if section not in with_namm]
    rule, plain = (
        "each baseline at its smallest size that keeps no less than the NAMM, or has the same budget",
        "each policy at its smallest size",
    )
    if not without:
        return f"{rule[0].upper()}{rule[1:]}."
    if not with_namm:
        return f"{plain[0].upper()}{plain[1:]}."
    return f"In {listed(with_namm)}, {rule}; in {listed(without)}, where there is no NAMM, {plain}."


def left_out(overall: Mapping[str, Mapping[str, Overall]]) -> dict[str, list[str]]:
    """Section to the tasks that some policy has no relative score of."""
    found: dict[str, dict[str, None]] = {}
    for sections in overall.values():
        for section, each in sections.items():
            if each.without:
                found.setdefault(section, {}).update(dict.fromkeys(each.without))
    return {section: list(tasks) for section, tasks in found.items()}


def left_out_in_words(summary: Summary, without: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each section with tasks that the overview leaves out of its mean, and why.

    Args:
        summary: All rows.
        without: Of `left_out`.
    """
    sentences = []
    for section, tasks in without.items():
        reasons: dict[str, list[str]] = {}
        for task in tasks:
            reasons.setdefault(_reason(summary, section, task), []).append(task)
        parts = [f"{listed(names)}, where {reason}" for reason, names in reasons.items()]
        sentences.append(f"{section}: without {'; '.join(parts)}.")
    return sentences


def _reason(summary: Summary, section: str, task: str) -> str:
    rows = summary.of(section, task)
    full: Row | None = next((row for row in rows if row.full), None)
    if full is None:
        return "no full cache ran"
    metric = summary.headline(section, task)[0]
    if not full.scores:
        return "the full cache has no score"
    if not metric.higher_is_better:
        return "lower is better, so a ratio is meaningless"
    pairs = [row.cells[metric.name].difference for row in rows if not row.full and metric.name in row.cells]
    if not any(pairs):
        return "the full cache has no item in common with the others"
    return "the full cache's own score is too uncertain to divide by"
