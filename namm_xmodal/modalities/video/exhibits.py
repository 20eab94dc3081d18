"""The first video that can be read, frame by frame: patches that no head holds any more are dimmed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.errors import ItemError
from namm_xmodal.evaluation.arm import Arm
from namm_xmodal.evaluation.exhibit import Exhibit, KeptMap, Pictures, png
from namm_xmodal.evaluation.pruning import pruned_for
from namm_xmodal.extras import need
from namm_xmodal.modalities.video.arms import with_room
from namm_xmodal.modalities.video.dimming import dim
from namm_xmodal.modalities.video.inspection import kept_cells
from namm_xmodal.modalities.video.prefix import read_prefix
from namm_xmodal.modalities.video.scoring import answer
from namm_xmodal.modalities.video.section import VideoSection
from namm_xmodal.modalities.video.session import VideoSession
from namm_xmodal.modalities.video.source import videos
from namm_xmodal.video.rope import scaled_rope

MOST_FRAMES, SIDE, TRIED = 16, 96, 8


def frame_exhibits(section: VideoSection, arms: Sequence[Arm]) -> list[Exhibit]:
    """Frames and map of each arm; nothing if none of the first videos can be read.

    Args:
        section: Its first question about a readable video is shown.
        arms: Which to show.
    """
    session = VideoSession(section)
    asked = session.benchmark.questions()[:TRIED]
    clips = zip(asked, videos(section, asked), strict=True)
    question, clip = next((pair for pair in clips if not isinstance(pair[1], ItemError)), (None, None))
    if question is None or clip is None or isinstance(clip, ItemError):
        return []
    video = session.loaded.encode(clip.frames, clip.times)
    shown = np.unique(np.linspace(0, len(clip.frames) - 1, min(MOST_FRAMES, len(clip.frames))).round().astype(int))
    found: list[Exhibit] = []
    for arm in arms:
        prompt = session.loaded.embed(session.benchmark.prompt(question, clip.times), video)
        policy = with_room(session.policy(arm), session.room(arm, prompt), prompt.visual)
        with (
            scaled_rope(session.loaded.model, session.rope_factor(prompt)),
            pruned_for(section, session.loaded.model, policy, arm.schedule) as memory,
        ):
            read = read_prefix(memory, prompt, frozen=True) if arm.schedule == "post_context" else None
            answer(memory, prompt, prefix=read)
            cache = memory.last_cache
        assert cache is not None
        kept = kept_cells(cache, prompt, len(clip.frames), video.grid)  # (layers, F, g, g)
        share = kept.mean(0)
        found.append(
            Pictures(
                question.question,
                f"{arm.name}: keeps {share.mean():.0%}",
                tuple(f"{clip.times[at]:.1f} s: {share[at].mean():.0%} kept" for at in shown),
                tuple(png(dim(_thumbnail(clip.frames[at]), share[at])) for at in shown),
                "Brightness: share of layers and heads that still hold a patch when the answer is due.",
            )
        )
        by_frame = tuple(tuple(np.round(layer[shown].mean((-1, -2)), 4).tolist()) for layer in kept)
        found.append(KeptMap("Kept of each frame", arm.name, "layer", "frame", by_frame))
    return found


def _thumbnail(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(height, width, 3), at most `SIDE` pixels on its longer side."""
    picture = need("PIL.Image", "a picture of what was kept").fromarray(frame)
    picture.thumbnail((SIDE, SIDE))
    return np.asarray(picture)
