# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A video model that holds an eighth of what it saw
#
# A video model reads each frame as a handful of *visual tokens*, and its language model keeps a key and a value of every
# one of them. Here a policy evicts most of them while the video is read, before the question is known. We ask questions
# about generated videos and compare, at equal numbers of kept visual tokens:
#
# * **namm-universal**: the shipped NAMM; nothing of it was fitted to videos.
# * **KeyDiff**: keeps tokens whose keys differ from the others.
# * **random**: evicts at random.
# * **recency**: keeps the newest tokens.
#
# The model, `llava-small`, has 0.96 million parameters and ships with the package; videos and questions are made on the
# spot. It takes about a minute on a CPU. It needs `pip install 'namm-xmodal[video]'`.

# %%
import tempfile
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from namm_xmodal import KeyDiff, Namm, RandomEviction, Recency
from namm_xmodal.config import load_evaluation_config
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.runner import evaluate
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.modalities.video.dimming import dim
from namm_xmodal.modalities.video.inspection import inspect_video
from namm_xmodal.report import summarise
from namm_xmodal.video.benchmarks.made import FIRST_SEED
from namm_xmodal.video.models import load_video_model
from namm_xmodal.video.procedural.clip import make_clip

# %% [markdown]
# Everything that you may want to change. `budgets` are shares of a video's visual tokens; text is always kept besides.

# %% tags=["parameters"]
questions = 120
frames = 16
budgets = [0.5, 0.25, 0.125]
seed = 3

# %% [markdown]
# ## Which patches survive
# The first of the videos below, at the smallest budget. A patch is as bright as the share of heads, over all layers, that
# still hold it when the answer is due. Every frame has nine patches. Frames that show the answer are starred.

# %%
POLICIES = {
    "full cache": None,
    "namm-universal": Namm.from_pretrained("namm-universal"),
    "KeyDiff": KeyDiff(budget=budgets[-1]),
    "random": RandomEviction(budget=budgets[-1], seed=0),
    "recency": Recency(budget=budgets[-1]),
}
COLOURS = {"namm-universal": "#d62f2f", "KeyDiff": "#2f7fbf", "random": "#7d8590", "recency": "#c98500"}

loaded = load_video_model("llava-small")
clip = make_clip(FIRST_SEED + seed, 0, frames)
asked = clip.questions[0]
print(asked.text, asked.options)
found = inspect_video(loaded, clip.video, asked.text, asked.options, POLICIES, share=budgets[-1], update_every=16)

shown = sorted({*np.linspace(0, frames - 1, 7).round().astype(int).tolist(), *asked.evidence})
figure, axes = plt.subplots(len(found), len(shown), figsize=(9, 1.25 * len(found)), layout="constrained")
for line, inspection in zip(axes, found, strict=True):
    for axis, number in zip(line, shown, strict=True):
        axis.imshow(dim(clip.video[number], inspection.share()[number]), interpolation="nearest")
        axis.set_xticks([])
        axis.set_yticks([])
    best = max(inspection.probabilities, key=inspection.probabilities.get)
    line[0].set_ylabel(f"{inspection.policy}\nkeeps {inspection.kept.mean():.0%}\n{best}", fontsize=7)
for axis, number in zip(axes[0], shown, strict=True):
    axis.set_title(f"frame {number}{' *' if number in asked.evidence else ''}", fontsize=8)
figure.suptitle(asked.text, fontsize=10)
plt.show()

# %% [markdown]
# ## Layer by layer
# The NAMM's share of each frame by layer: whether it prefers frames, or picks within them.

# %%
inspection = found[1]
figure, axis = plt.subplots(figsize=(7, 2.4), layout="constrained")
image = axis.imshow(inspection.kept.mean((-1, -2)), aspect="auto", cmap="Blues", vmin=0, vmax=1)
axis.set_yticks(range(len(inspection.kept)), [f"layer {layer}" for layer in range(len(inspection.kept))])
axis.set_xlabel("frame")
axis.set_title(f"{inspection.policy}: share of each frame's patches that is held", fontsize=10)
figure.colorbar(image, ax=axis)
plt.show()

# %% [markdown]
# ## Accuracy against the budget
# One file says who is compared; the same file works with `namm-xmodal eval`. Questions about one video are not independent,
# so intervals resample whole videos. A policy is right if the right option is the likeliest.

# %%
CONFIG = f"""
policies:
  full: {{policy: full}}
  namm-universal: {{policy: namm, path: namm-universal, threshold: -.inf, budget: {budgets}}}
  KeyDiff: {{policy: keydiff}}
  random: {{policy: random, seed: 0}}
  recency: {{policy: recency}}
budgets: {budgets}

video:
  model: llava-small
  benchmark: generated
  options: {{n: {questions}, frames: {frames}}}
  seed: {seed}
  update_every: 16
  protect_first: 1
  protect_recent: 4
"""
folder = Path(tempfile.mkdtemp())
(folder / "questions.yaml").write_text(CONFIG)
kinds = {name: modality.section for name, modality in MODALITIES.items()}
config = load_evaluation_config(folder / "questions.yaml", kinds, output=str(folder / "results"))
plan = make_plan(config, MODALITIES)
summary = summarise(evaluate(config, plan), plan, config.run.bootstrap)

curves, full = defaultdict(list), None
print(f"n = {questions} questions, seed {seed}; 95% intervals, paired differences to the full cache")
print(f"{'policy':<15} {'size':>6} {'kept':>5}  accuracy           difference")
for row in summary.rows:
    score, difference = row.cells["accuracy"].score, row.cells["accuracy"].difference
    line = f"{row.policy:<15} {row.size:>6} {row.kept.fraction:>5.0%}"
    line += f"  {score.value:.2f} [{score.low:.2f}, {score.high:.2f}]"
    if row.full:
        full = score
    else:
        curves[row.policy].append((row.kept.fraction, score))
        line += f"  {difference.value:+.2f} [{difference.low:+.2f}, {difference.high:+.2f}]"
    print(line)

# %%
figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
axis.axhline(full.value, color="black", linewidth=1, label="full cache")
for name, points in curves.items():
    sizes = [kept for kept, _ in points]
    values = [score.value for _, score in points]
    spread = [[s.value - s.low for _, s in points], [s.high - s.value for _, s in points]]
    axis.errorbar(sizes, values, spread, marker="o", capsize=3, color=COLOURS[name], label=name)
axis.set_xscale("log", base=2)
axis.set_xticks(budgets, [f"{100 * budget:g}%" for budget in budgets])
axis.minorticks_off()
axis.set_ylim(0, 1)
axis.set_xlabel("share of visual tokens kept")
axis.set_ylabel("accuracy")
axis.set_title(f"llava-small, {questions} questions about videos of {frames} frames; bars: 95% intervals", fontsize=10)
axis.legend()
plt.show()

# %% [markdown]
# ## Where to go on
# * `namm-xmodal inspect my.mp4 --question "what leaves the harbour?" --option "a ship" --option "a train"` draws the same
#   for a video of yours, and films it.
# * `namm-xmodal video-qa video/offline` adds what spends fewer tokens before the cache: fewer frames, DivPrune and others.
# * Qwen-VL, InternVL, SmolVLM and benchmarks of your own: docs/video.md.
