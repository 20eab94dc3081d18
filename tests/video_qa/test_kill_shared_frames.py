"""Questions about one video share what was read of its frames; a resumed run, with one left, gives the same bits."""

from evaluations import load, plan_of

from namm_xmodal.evaluation.modality import Work
from namm_xmodal.modalities.video.session import VideoSession


def test_a_question_alone_and_with_others():
    (plan,) = plan_of(load("video/smoke", None, "video.loader.workers=0", "video.options={n: 4, frames: 8}"))
    session, compared = VideoSession(plan.section), 0
    works = plan.works(frozenset())
    together = {(each.item.id, each.arm.key): each.scores for each in session.run(works, print)}
    for work in works:
        for item, arms in zip(work.items, work.arms, strict=True):
            for alone in session.run([Work((item,), (arms,))], print):
                assert alone.scores == together[item.id, alone.arm.key], (item.id, alone.arm.key)
                compared += 1
    assert compared == 4 * len(plan.arms)
