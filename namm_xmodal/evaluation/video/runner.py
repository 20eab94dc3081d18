"""Runs what is missing in the journal, video by video; every record is on disk before the next begins."""

from collections.abc import Callable
from pathlib import Path

from namm_xmodal.config.save import to_mapping, to_yaml
from namm_xmodal.config.video_qa import VideoQAConfig, build_benchmark, video_digest
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import ResultsError
from namm_xmodal.evaluation.journal import Journal, set_aside
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.runner import JOURNAL, RESOLVED, Progress
from namm_xmodal.evaluation.versions import software_versions
from namm_xmodal.evaluation.video.plan import VideoRun, make_runs
from namm_xmodal.evaluation.video.source import group_by_video, videos
from namm_xmodal.evaluation.video.worker import VideoWorker


def evaluate_videos(
    config: VideoQAConfig,
    *,
    fresh: bool = False,
    progress: Progress = lambda done, total, what: None,
    notice: Callable[[str], None] = lambda text: None,
) -> list[Record]:
    """Evaluates every policy and rival on every question; returns all records, earlier ones of the folder included.

    Args:
        config: What to evaluate and where results go.
        fresh: Set earlier results aside instead of going on from them.
        progress: Called after every record.
        notice: Told what is worth knowing, such as a video that was skipped.

    Raises:
        NammError: On the user's mistakes, before the model is loaded wherever possible.
    """
    runs = make_runs(config)
    benchmark = build_benchmark(config)
    questions = list(enumerate(benchmark.questions()))[: config.limit]
    folder = Path(config.output)
    if fresh and (kept := set_aside(folder / JOURNAL)):
        notice(f"earlier results are kept as {kept}")
    header = {"config": video_digest(config), "settings": to_mapping(config), "versions": software_versions()}
    with Journal(folder / JOURNAL, header, notice) as journal:
        _check_policies(journal, runs)
        _save(folder / RESOLVED, to_yaml(config))
        done = frozenset(record.key for record in journal.records)
        groups = []
        for asked in group_by_video(questions):
            left = [(each, [run for run in runs if run.key(config.benchmark, each[0]) not in done]) for each in asked]
            if any(wanted for _, wanted in left):
                groups.append([(each, wanted) for each, wanted in left if wanted])
        total = len(runs) * len(questions)
        finished = total - sum(len(wanted) for group in groups for _, wanted in group)
        if finished and groups:
            notice(f"going on after {finished} of {total} results in {folder}")
        progress(finished, total, "")
        if groups:
            worker = VideoWorker(config, benchmark)
            sources = [group[0][0][1].video for group in groups]
            for group, clip in zip(groups, videos(config, sources), strict=True):
                if isinstance(clip, Exception):
                    notice(f"skipped: {clip}")
                for record in worker.records(clip, group):
                    journal.append(record)
                    finished += 1
                    progress(finished, total, f"{record.policy} on {record.tags['id']}")
        return _in_order(journal.records, runs, len(questions))


def _in_order(records: list[Record], runs: tuple[VideoRun, ...], count: int) -> list[Record]:
    places = {run.key("", 0)[2:]: place for place, run in enumerate(runs)}
    kept = [record for record in records if record.key[2:] in places and record.sample < count]
    return sorted(kept, key=lambda record: (places[record.key[2:]], record.sample))


def _check_policies(journal: Journal, runs: tuple[VideoRun, ...]) -> None:
    """Refuses to go on under a label with another policy."""
    expected = {run.key("", 0)[2:]: run.fingerprint for run in runs}
    for record in journal.records:
        if record.fingerprint != expected.get(record.key[2:], record.fingerprint):
            raise ResultsError(
                f"{journal.path}: holds results of another policy named {record.policy!r}; give it another label, or use "
                "--fresh (the old file is kept aside)"
            )


def _save(path: Path, text: str) -> None:
    try:
        replace_text(path, text)
    except OSError as error:
        raise ResultsError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None
