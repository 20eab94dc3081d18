"""Runs what is missing in the journal, video by video; every record is on disk before the next begins."""

from collections.abc import Callable

from namm_xmodal.config.video_qa import VideoQAConfig, build_benchmark, video_digest
from namm_xmodal.evaluation.record import Record
from namm_xmodal.evaluation.results_folder import Progress, open_results
from namm_xmodal.evaluation.video.plan import VideoRun, make_runs
from namm_xmodal.evaluation.video.preflight import check_prompts, check_videos
from namm_xmodal.evaluation.video.source import group_by_video, videos
from namm_xmodal.evaluation.video.worker import VideoWorker
from namm_xmodal.video.at_hand import at_hand


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
    fingerprints = {run.key("", 0)[2:]: run.fingerprint for run in runs}
    with open_results(
        config, video_digest(config), fingerprints, lambda record: record.key[2:], fresh=fresh, notice=notice
    ) as journal:
        done = frozenset(record.key for record in journal.records)
        groups = []
        for asked in group_by_video(questions):
            left = [(each, [run for run in runs if run.key(config.benchmark, each[0]) not in done]) for each in asked]
            if any(wanted for _, wanted in left):
                groups.append([(each, wanted) for each, wanted in left if wanted])
        total = len(runs) * len(questions)
        finished = total - sum(len(wanted) for group in groups for _, wanted in group)
        if finished and groups:
            notice(f"going on after {finished} of {total} results in {config.output}")
        progress(finished, total, "")
        if groups:
            every = [question for _, question in questions]
            checked = check_videos(config, runs, benchmark, every)
            worker = VideoWorker(config, benchmark)
            if not checked:
                check_prompts(config, runs, benchmark, every, at_hand(worker.loaded))
            first = [group[0][0][1] for group in groups]
            told = set()
            for group, clip in zip(groups, videos(config, first), strict=True):
                for record in worker.records(clip, group):
                    reason = record.tags.get("reason")
                    if reason and reason not in told:
                        told.add(reason)
                        notice(f"skipped: {reason}")
                    journal.append(record)
                    finished += 1
                    progress(finished, total, f"{record.policy} on {record.tags['id']}")
        return _in_order(journal.records, runs, len(questions))


def _in_order(records: list[Record], runs: tuple[VideoRun, ...], count: int) -> list[Record]:
    places = {run.key("", 0)[2:]: place for place, run in enumerate(runs)}
    kept = [record for record in records if record.key[2:] in places and record.sample < count]
    return sorted(kept, key=lambda record: (places[record.key[2:]], record.sample))
