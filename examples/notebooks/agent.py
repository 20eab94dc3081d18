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
# # An agent that remembers
#
# A Decision Transformer acts by predicting tokens: return, state, action, three for each step of its environment. All of
# them stay in its cache, unless a policy evicts some. Here it walks through a T-maze: the first observation is a cue, left
# or right; 60 steps later the corridor ends, and it has to turn to the side of the cue. On the way, distractors flash on
# the same channel. An agent that keeps only the newest tokens has lost the cue by then.
#
# The trained agents ship with this package. Who decides what stays in memory:
#
# * **namm-universal**: the shipped NAMM; nothing of it was fitted to agents.
# * **H2O**: keeps what received most attention.
# * **recency**: keeps the newest tokens.
# * **random**: evicts at random.
#
# It takes less than a minute on a CPU. It needs `pip install 'namm-xmodal[rl]'`.

# %%
import tempfile
from collections import defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from namm_xmodal import H2O, Namm, RandomEviction, Recency
from namm_xmodal.agents import CacheAgent
from namm_xmodal.agents.checkpoint import find_checkpoints, load_checkpoint
from namm_xmodal.config import load_evaluation_config
from namm_xmodal.envs.environments import environment_maker
from namm_xmodal.envs.rollout import Target, rollout
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.runner import evaluate
from namm_xmodal.modalities.rl.exhibits import survivors
from namm_xmodal.modalities.rl.watching import Watched
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.report import summarise

# %% [markdown]
# Everything that you may want to change. `budgets` are tokens, three for each step; a whole episode is 182. Episode `i` of
# each model has the seed `seed + i`.

# %% tags=["parameters"]
model_seeds = [0, 1, 2]
episodes = 20
corridor = 60
budgets = [24, 48, 96]
seed = 1000

# %% [markdown]
# ## One episode, token by token
# The agent acts as usual, and after each step we ask its cache what it still holds. Rows are tokens in the order in which
# they were fed, columns are steps: a row that goes on to the right is a token that is still remembered. The cue is token 1,
# the first state, after the first return.

# %%
POLICIES = {
    "namm-universal": lambda budget: Namm.from_pretrained("namm-universal", max_tokens=budget),
    "H2O": lambda budget: H2O(budget=budget),
    "recency": lambda budget: Recency(budget=budget),
    "random": lambda budget: RandomEviction(budget=budget, seed=0),
}
COLOURS = {"namm-universal": "#d62f2f", "H2O": "#2f7fbf", "recency": "#c98500", "random": "#7d8590"}
CLOCK = {"update_every": 16, "protect_recent": 6}

((label, place),) = find_checkpoints("tmaze", seeds=model_seeds[:1]).items()
agent_model = load_checkpoint(label, place).agent_model
heads = agent_model.model.config.n_layer * agent_model.model.config.n_head
maze = environment_maker("namm_xmodal/TMaze-v0", length=corridor, distractors=0.25)


pictures = {}
for name, make in POLICIES.items():
    agent = Watched(CacheAgent(agent_model, make(budgets[0]), **CLOCK), every=1)
    (episode,) = rollout(maze, agent, [seed], Target(1.0, scale=1.0))
    picture = np.full((episode.tokens_seen, episode.length), np.nan)
    for step, remembered in agent.looks:  # of each layer, the tokens that its heads hold
        fed = 3 * step + 2  # return, state and action of every step so far; the newest action is not chosen yet
        picture[:fed, step] = np.bincount(np.concatenate(remembered), minlength=fed) / heads
    pictures[name] = (picture, episode.total)

figure, axes = plt.subplots(1, len(pictures), figsize=(12, 4.2), sharey=True, layout="constrained")
for axis, (name, (picture, total)) in zip(axes, pictures.items(), strict=True):
    image = axis.imshow(picture, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    cue = np.nan_to_num(picture[1, -1])
    axis.set_title(f"{name}\nreturn {total:.0f}, {cue:.0%} of heads hold the cue", fontsize=9)
    axis.set_xlabel("step")
axes[0].set_ylabel("token fed (1 is the cue)")
figure.colorbar(image, ax=axes, label="share of heads that hold it")
figure.suptitle(f"{label}, {budgets[0]} tokens of memory, seed {seed}", fontsize=10)
plt.show()

# %% [markdown]
# ## Success against the size of the memory
# One file says who is compared and on what; the same file works with `namm-xmodal eval`. Every policy plays the same mazes.
# Intervals are 95% bootstraps over episodes. One of width zero, where every turn was right, says little: with 60 episodes
# only that failures are rarer than about one in twenty.

# %%
CONFIG = f"""
policies:
  full: {{policy: full}}
  namm-universal: {{policy: namm, path: namm-universal, threshold: -.inf, budget: {budgets}}}
  H2O: {{policy: h2o}}
  recency: {{policy: recency}}
  random: {{policy: random, seed: 0}}
budgets: {budgets}

rl:
  model: tmaze
  model_seeds: {model_seeds}
  environment_options: {{length: {corridor}, distractors: 0.25}}
  episodes: {episodes}
  seed: {seed}
  max_steps: {corridor + 40}
  update_every: 16
  protect_recent: 6
  score: success
  survivors: true
"""
folder = Path(tempfile.mkdtemp())
(folder / "maze.yaml").write_text(CONFIG)
kinds = {name: modality.section for name, modality in MODALITIES.items()}
config = load_evaluation_config(folder / "maze.yaml", kinds, output=str(folder / "results"))
plan = make_plan(config, MODALITIES)
records = evaluate(config, plan)
summary = summarise(records, plan, config.run.bootstrap)

curves, full = defaultdict(list), None
print(f"{'policy':<15} {'size':>9}  success [95%], n = {len(model_seeds) * episodes} episodes, seeds from {seed}")
for row in summary.rows:
    score = row.cells["success"].score
    if row.full:
        full = score
    else:
        curves[row.policy].append((row.budget, score))
    print(f"{row.policy:<15} {row.size:>9}  {score.value:.2f} [{score.low:.2f}, {score.high:.2f}]")

# %%
figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
axis.axhline(full.value, color="black", linewidth=1, label="full cache")
axis.axhline(0.5, color="black", linewidth=1, linestyle=":", label="a guess")
for place, (name, points) in enumerate(curves.items()):
    sizes = np.array([budget for budget, _ in points]) * (1 + 0.02 * place)  # beside one another, so that bars show
    values = [score.value for _, score in points]
    spread = [[s.value - s.low for _, s in points], [s.high - s.value for _, s in points]]
    axis.errorbar(sizes, values, spread, marker="o", capsize=3, color=COLOURS[name], label=name)
axis.set_xscale("log", base=2)
axis.set_xticks(budgets, [str(budget) for budget in budgets])
axis.minorticks_off()
axis.set_ylim(0, 1.05)
axis.set_xlabel(f"tokens in memory, of {3 * corridor + 2}")
axis.set_ylabel("share of right turns")
axis.set_title(f"T-maze, {len(model_seeds)} agents x {episodes} mazes; bars: 95% intervals", fontsize=10)
axis.legend()
plt.show()

# %% [markdown]
# ## What survives, over all episodes
# The share of tokens in memory by their kind and age, at the smallest budget, averaged over heads, layers, episodes and
# looks at the memory (one every 25 steps). The cue is a state, and the oldest one.

# %%
smallest = {f"{row.policy}, {row.size}": row.policy for row in summary.rows if row.budget == budgets[0]}
maps = {smallest[each.arm]: each for each in survivors(records) if each.arm in smallest}
figure, axes = plt.subplots(1, len(maps), figsize=(12, 2.6), sharey=True, layout="constrained")
for axis, (name, found) in zip(axes, maps.items(), strict=True):
    shares = np.array(found.shares, dtype=float)
    used = ~np.isnan(shares).all(0)
    image = axis.imshow(shares[:, used], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ages = [age for age, there in zip(found.column_names, used, strict=True) if there]
    axis.set_xticks(range(len(ages)), ages, rotation=45, fontsize=7)
    axis.set_yticks(range(len(found.row_names)), found.row_names)
    axis.set_title(name, fontsize=9)
    axis.set_xlabel("age in steps", fontsize=8)
figure.colorbar(image, ax=axes, label="share held")
plt.show()

# %% [markdown]
# ## Where to go on
# * `namm-xmodal rollout rl/memory` makes the corridor 200 steps long, `rl/hopper` asks the same of a body that walks (where
#   nearly everybody ties: it needs little memory).
# * Agents of your own: docs/rl.md.
