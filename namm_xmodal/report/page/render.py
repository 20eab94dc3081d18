"""Puts tables, figures and exhibits into `report/index.html`."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.evaluation.estimate import FEWEST
from namm_xmodal.evaluation.exhibit import Exhibit, KeptMap, Pictures, ShadedText
from namm_xmodal.report.curves import draw_curves
from namm_xmodal.report.depths import draw_depths
from namm_xmodal.report.figure import Figure
from namm_xmodal.report.means import means_of
from namm_xmodal.report.page.headline import overview, tallies, task_tables, verdict_words
from namm_xmodal.report.page.maps import draw_maps
from namm_xmodal.report.page.sentences import (
    left_out,
    left_out_in_words,
    policies_in_words,
    sections_in_words,
    size_rule,
)
from namm_xmodal.report.summary import Summary
from namm_xmodal.report.words import counted, ended, interval_words, schedules_in_words

BIBTEX = """@software{namm_xmodal,
  title  = {namm-xmodal: evolve a memory policy once, use it in any transformer},
  author = {{namm-xmodal contributors}},
  year   = {2026}
}
@inproceedings{cetin2025namm,
  title     = {An Evolved Universal Transformer Memory},
  author    = {Edoardo Cetin and Qi Sun and Tianyu Zhao and Yujin Tang},
  booktitle = {International Conference on Learning Representations},
  year      = {2025},
  note      = {arXiv:2410.13166}
}"""


@dataclass(frozen=True)
class Shown:
    """One section of the page.

    Attributes:
        name: Of the section.
        figures: Of the section, by file name without suffix, and as SVG for the page.
        texts: Shaded texts.
        pictures: Pictures.
    """

    name: str
    figures: tuple[Figure, ...]
    texts: tuple[ShadedText, ...]
    pictures: tuple[Pictures, ...]


def write_page(
    folder: Path,
    summary: Summary,
    exhibits: Mapping[str, Sequence[Exhibit]],
    settings: Mapping[str, Any],
    title: str,
) -> Path:
    """Writes the page, its figures as PNG and SVG, and its tables as CSV.

    Args:
        folder: `report` in the folder of the results.
        summary: What was measured.
        exhibits: By section.
        settings: The resolved configuration, shown at the end.
        title: Of the page.

    Returns:
        The page.

    Raises:
        OSError: If the disk refuses.
    """
    import yaml
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("namm_xmodal.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ended"] = ended
    shown = [_shown(summary, name, exhibits.get(name, ())) for name in summary.sections()]
    for section in shown:
        for figure in section.figures:
            figure.write(folder)
    replace_text(folder / "scores.csv", scores_csv(summary))
    replace_text(folder / "comparisons.csv", comparisons_csv(summary))
    replace_text(folder / "groups.csv", groups_csv(summary))
    here = files("namm_xmodal.report") / "page"
    records = [record for row in summary.rows for record in row.records]
    overall = overview(summary)
    page = environment.get_template("page.html.j2").render(
        title=title,
        style=(here / "style.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        about=sections_in_words(summary),
        policies=policies_in_words(summary),
        incomplete=summary.incomplete,
        overview=overall,
        size_rule=size_rule(summary),
        schedules=schedules_in_words(row.schedule for row in summary.rows),
        without=left_out_in_words(summary, left_out(overall)),
        names=summary.sections(),
        learned={row.label for row in summary.rows if row.learned},
        tables=task_tables(summary),
        tallies=tallies(summary),
        means=means_of(summary),
        interval=interval_words,
        words=verdict_words,
        counted=counted,
        fewest=FEWEST,
        full=any(row.full for row in summary.rows),
        sections=shown,
        texts=json.dumps([_plain(text) for section in shown for text in section.texts]).replace("<", "\\u003c"),
        seeds=sorted({record.seed for record in records}),
        versions=sorted({f"{name} {number}" for record in records for name, number in record.versions.items()}),
        level=summary.bootstrap.level,
        resamples=summary.bootstrap.resamples,
        bibtex=BIBTEX,
        settings=yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=100),
    )
    replace_text(folder / "index.html", page)
    return folder / "index.html"


def scores_csv(summary: Summary) -> str:
    """Every metric of every arm on every task."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(
        "section task policy size schedule metric value low high n difference difference_low difference_high relative "
        "kept kept_tokens live_bytes allocated_bytes full_bytes skipped failed".split()
    )
    for row in summary.rows:
        kept = row.kept
        for name, cell in row.cells.items():
            pair, share = cell.difference, cell.relative
            score = (cell.score.value, cell.score.low, cell.score.high, cell.score.n)
            differences = (pair.value, pair.low, pair.high) if pair else (None, None, None)
            sizes = (kept.fraction, kept.tokens, kept.live_bytes, kept.allocated_bytes, kept.full_bytes)
            arm = (row.section, row.task, row.policy, row.size, row.schedule, name)
            lost = (row.count("skipped"), row.count("failed"))
            writer.writerow([*arm, *score, *differences, share.value if share else None, *sizes, *lost])
    return buffer.getvalue()


def groups_csv(summary: Summary) -> str:
    """The first headline metric of every arm apart by tags of the items."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow("section task policy size schedule metric tag group value low high n".split())
    for row in summary.rows:
        metric = next((name for name, cell in row.cells.items() if cell.metric.headline), "")
        for tag, groups in row.groups.items():
            for value, score in groups.items():
                arm = (row.section, row.task, row.policy, row.size, row.schedule, metric)
                writer.writerow([*arm, tag, value, score.value, score.low, score.high, score.n])
    return buffer.getvalue()


def comparisons_csv(summary: Summary) -> str:
    """Every NAMM against every baseline at an equal or larger cache."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow("section task ours theirs metric difference low high n verdict kept_ours kept_theirs".split())
    for tally in tallies(summary):
        for each in tally.comparisons:
            found = each.difference
            theirs = f"{each.theirs.policy}, {each.theirs.size}"
            difference = (found.value, found.low, found.high, found.n, each.verdict)
            writer.writerow([tally.section, each.ours.task, tally.ours, theirs, each.metric, *difference, *each.kept])
    return buffer.getvalue()


def _shown(summary: Summary, section: str, exhibits: Sequence[Exhibit]) -> Shown:
    maps: dict[str, list[KeptMap]] = {}
    for each in exhibits:
        if isinstance(each, KeptMap):
            maps.setdefault(each.figure, []).append(each)
    file = section.replace("@", "-")
    drawn = [
        draw_curves(summary, section),
        *(draw_depths(summary, section, task) for task in summary.tasks(section)),
        *(draw_maps(f"{name}-{file}", group, section) for name, group in maps.items()),
    ]
    return Shown(
        section,
        tuple(each for each in drawn if each is not None),
        tuple(each for each in exhibits if isinstance(each, ShadedText)),
        tuple(each for each in exhibits if isinstance(each, Pictures)),
    )


def _plain(text: ShadedText) -> dict[str, Any]:
    return {"fates": text.fates, "updates": text.updates}
