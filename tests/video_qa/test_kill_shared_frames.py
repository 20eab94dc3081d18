"""Questions about one video share what was read of its frames; a resumed run, with one left, gives the same bits."""

from namm_xmodal.config.video_qa import build_benchmark, load_video_qa_config
from namm_xmodal.evaluation.video.plan import make_runs
from namm_xmodal.evaluation.video.source import group_by_video, videos
from namm_xmodal.evaluation.video.worker import VideoWorker


def test_a_question_alone_and_with_others():
    config = load_video_qa_config("video/smoke", ["loader.workers=0", "options={n: 4, frames: 8}"])
    benchmark, runs = build_benchmark(config), list(make_runs(config))
    groups = group_by_video(list(enumerate(benchmark.questions())))
    worker, compared = VideoWorker(config, benchmark), 0
    for group, clip in zip(groups, videos(config, [each[0][1] for each in groups]), strict=True):
        together = {record.key: record.scores for record in worker.records(clip, [(each, runs) for each in group])}
        for each in group:
            for record in worker.records(clip, [(each, runs)]):
                assert record.scores == together[record.key], record.key
                compared += 1
    assert compared == 4 * len(runs)
