"""Made-up records of three modalities, with known means."""

import numpy as np

from namm_xmodal.config.evaluation import evaluation_config
from namm_xmodal.evaluation.modality import Kept
from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.record import Record
from namm_xmodal.modalities.language.facts import LanguageFacts
from namm_xmodal.modalities.rl.facts import EpisodeFacts
from namm_xmodal.modalities.table import MODALITIES
from namm_xmodal.modalities.video.facts import VideoFacts

KINDS = {name: modality.section for name, modality in MODALITIES.items()}
LOSSES = {"namm": 0.02, "keydiff": 0.05, "random": 0.3, "recency": 0.4}
"""What each policy loses of the full cache's score at half the cache; twice that at a quarter."""


def content(**changes):
    """A configuration of all three modalities."""
    policies = {name: {"policy": name} for name in ("full", "keydiff", "random", "recency")}
    namm = {"policy": "namm", "init": "random", "threshold": float("-inf"), "budget": [0.5, 0.25]}
    tasks = {"keys": {"task": "key_retrieval", "n": 12}, "text": {"task": "next_token", "n": 12}}
    made = {
        "policies": {**policies, "namm": namm},
        "budgets": [0.5, 0.25],
        "language": {"model": "tiny-random", "tasks": tasks, "update_every": 128},
        "video": {"options": {"n": 24, "frames": 8}, "update_every": 16},
        "rl": {"model": "tmaze", "episodes": 6, "score": "success", "budgets": [0.5, 0.25], "update_every": 16},
    }
    return {**made, **changes}


def made_plan(folder="results/made", **changes):
    """The configuration and its plan; nothing is loaded."""
    config = evaluation_config({**content(**changes), "output": str(folder)}, KINDS, "made up")
    return config, make_plan(config, MODALITIES)


def record(section, item, arm, score, kept=1.0, **changes):
    """One record of a plan's item and arm."""
    names = {"language": "answer_probability", "video": "accuracy", "rl": "return"}
    facts = {"language": LanguageFacts(100), "video": VideoFacts(chosen=0), "rl": EpisodeFacts("namm_xmodal/TMaze-v0")}
    name = "token_probability" if item.task == "text" else names[section.modality.name]
    values = {
        "section": section.name, "task": item.task, "item": item.id, "number": item.number, "group": item.group,
        "stratum": item.stratum, "tags": dict(item.tags), "policy": arm.label, "budget": arm.budget,
        "schedule": arm.schedule, "size": arm.size, "scores": {name: score},
        "kept": Kept(kept, 100 * kept, int(1000 * kept), int(1100 * kept), 1000), "seconds": {"item": 0.01},
        "status": "scored", "message": "", "facts": facts[section.modality.name], "fit": "", "text": "",
        "fingerprint": arm.fingerprint, "model": {"name": "m", "source": "s", "dtype": "float32"}, "seed": 0,
        "digest": section.digest, "versions": {"torch": "2"}, "started": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Record(**{**values, **changes})


def made_records(plan, sections=("language", "video", "rl")):
    """Records of all arms on all items: 0.9 for the full cache, less what `LOSSES` says, with some noise."""
    found = []
    for section in plan:
        if section.modality.name not in sections:
            continue
        for item in section.items:
            for arm in section.arms:
                noise = np.random.default_rng((item.number, len(arm.key[1]), int(100 * (arm.budget or 0)))).normal(
                    0, 0.01
                )
                loss = 0.0 if arm.full else LOSSES[arm.label] * (1 if arm.budget == 0.5 else 2)
                hardness = 0.02 * (item.number % 4)
                kept = 1.0 if arm.full else float(arm.budget)
                found.append(record(section, item, arm, 0.9 - loss - hardness + (0 if arm.full else noise), kept))
    return found
