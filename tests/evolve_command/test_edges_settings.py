"""Settings of a run that cannot mean what they say are refused before a model is loaded, by the dry run as well."""

import pytest

from namm_xmodal.config import packaged_configs
from namm_xmodal.fitness import language

KEYS = "tasks.key_retrieval"
REFUSED = [
    (
        "protect_recent=1000",
        "max_tokens: protect_first + protect_recent = 4 + 1000: tasks.key_retrieval: training sample 0",
    ),
    ("max_tokens=1000000000", "max_tokens: budget 1000000000: has no effect"),
    (f"{KEYS}.texts=python-topic", "tasks.key_retrieval: texts: unknown text source 'python-topic': did you mean"),
    (f"{KEYS}.texts=anarchism", "tasks.key_retrieval: texts anarchism: not on this machine"),
    (f"{KEYS}.length=[17000]", "tasks.key_retrieval: length: 17000 tokens, but the context of tiny-random is 16384"),
    (
        "held_out.multi_key_retrieval.texts=nowhere",
        "held_out.multi_key_retrieval: texts: unknown text source 'nowhere'",
    ),
    ("held_out.multi_key_retrieval.length=[17000]", "held_out: tasks.multi_key_retrieval: length: 17000"),
    ("held_out.multi_key_retrieval.length=[200000000000]", "held_out: tasks"),
    ("update_every=512", "tasks.key_retrieval: a sample has 511 tokens before its answer, fewer than update_every"),
    ("statistics.path=nowhere", "statistics.path: nowhere"),
    ("after=nowhere", "after: nowhere/journal.jsonl: no such file"),
    ("models=tiny-randon", "unknown model 'tiny-randon': did you mean tiny-random"),
    ("models=./nowhere", "model './nowhere': no such folder"),
    ("device=cuda:99", "device: 'cuda:99': "),
]
OF_GRADIENTS = [
    ("gradient.floor=100000", "gradient.floor: 100000: keeps everything"),
    (
        "gradient={estimator: policy_gradient, policy_gradient: {rollouts: 64}}",
        "gradient.policy_gradient.rollouts: 64: expected at most rows = 32",
    ),
    ("gradient.policy_gradient.rollouts=1", "gradient.policy_gradient.rollouts: 1"),
    ("gradient.policy_gradient.temperature=0", "gradient.policy_gradient.temperature: 0"),
    ("gradient.estimator=reinforce", "gradient.estimator: 'reinforce'"),
    ("protect_recent=200", "gradient.budget: protect_first + protect_recent = 4 + 200"),
]


@pytest.mark.parametrize(
    ("command", "change", "said"),
    [("evolve", *row) for row in REFUSED] + [("warm-start", *row) for row in (*REFUSED[:3], *OF_GRADIENTS)],
)
def test_a_real_run_and_a_dry_one_refuse_the_same(refused, tmp_path, monkeypatch, command, change, said):
    monkeypatch.setattr(language, "load_language_model", None)  # loading a model would fail
    few = ("--set", "pool=2", "--set", "samples=1", "--set", change, "--run", tmp_path / "run")
    line = refused(command, "evolve/smoke", *few, "--dry-run")
    assert said in line
    assert refused(command, "evolve/smoke", *few) == line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["evolve", "warm-start"])
def test_a_dry_run_of_what_is_meaningful_writes_nothing(run, tmp_path, command):
    assert "tiny-random" in run(command, "evolve/smoke", "--run", tmp_path / "run", "--dry-run").stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [name for name in packaged_configs() if name.startswith("evolve/")])
def test_every_shipped_file_passes_its_dry_run(run, name, monkeypatch, tmp_path):
    """Without the models at hand, lengths are checked as they are written; stages of the paper need the one before."""
    monkeypatch.setenv("NAMM_XMODAL_CACHE", str(tmp_path))
    lines = run("evolve", name, "--dry-run", "--set", "device=cpu", "--set", "strategy.name=snes", *(
        ("--set", "after=null") if name in ("evolve/paper_stage2", "evolve/paper_stage3") else ()
    )).stderr  # fmt: skip
    assert "is not on this machine yet" in lines or name == "evolve/smoke"
