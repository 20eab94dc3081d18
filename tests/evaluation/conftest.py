"""Made-up records with known means."""

import pytest

from namm_xmodal.evaluation.record import Record


def record(task="keys", sample=0, policy="full", budget=None, protocol="none", kept=1.0, **scores):
    return Record(
        task=task, sample=sample, policy=policy, budget=budget, protocol=protocol, scores=scores, kept_fraction=kept,
        live_bytes=int(1000 * kept), allocated_bytes=int(1100 * kept), full_bytes=1000, prompt_tokens=100, fingerprint="f",
        cpu_seconds=0.5, started="2026-01-01T00:00:00+00:00", seed=0, config="abc", model={"name": "m"}, versions={},
    )  # fmt: skip


def evaluation(samples=8, policies=("h2o", "snapkv", "namm"), protocols=("clock",), tasks=("keys", "code", "text")):
    """Full cache 0.9; a policy loses 0.1 times its number at half the cache, twice that at a quarter."""
    made = []
    for task in tasks:
        metrics = ("token_probability",) if task == "text" else ("answer_probability", "exact_match")
        for sample in range(samples):
            hardness = 0.02 * (sample % 4)
            full = dict.fromkeys(metrics, 0.9 - hardness)
            made.append(record(task, sample, **full))
            for protocol in protocols:
                for place, policy in enumerate(policies):
                    for budget, loss in ((0.5, 1), (0.25, 2)):
                        wobble = 0.01 * ((sample + place) % 3 - 1)
                        scores = {name: value - 0.1 * place * loss + wobble for name, value in full.items()}
                        made.append(record(task, sample, policy, budget, protocol, budget + 0.05, **scores))
    return made


@pytest.fixture(name="record")
def _record():
    return record


@pytest.fixture(name="evaluation")
def _evaluation():
    return evaluation
