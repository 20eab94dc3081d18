"""`warm-start` with a policy gradient: what the policy says of itself, and runs that know how evictions were drawn."""

from namm_xmodal import Namm

DRAWN = ("gradient.estimator=policy_gradient", "gradient.policy_gradient.rollouts=2", "gradient.steps=2")


def test_a_policy_gradient_says_so_and_is_not_mixed_with_other_draws(run, refused, small, tmp_path):
    folder = tmp_path / "start"
    run("warm-start", "evolve/smoke", "--run", folder, *small(*DRAWN))
    assert Namm.from_pretrained(folder / "policy").metadata["method"] == "policy gradients from random evictions"
    before = (folder / "gradient.jsonl").read_bytes()
    run("warm-start", "evolve/smoke", "--run", folder, *small(*DRAWN))
    assert (folder / "gradient.jsonl").read_bytes() == before
    other = small(*DRAWN, "gradient.policy_gradient.temperature=0.2")
    assert "holds a warm start with other settings" in refused("warm-start", "evolve/smoke", "--run", folder, *other)
    through = small(*DRAWN, "gradient.estimator=straight_through")
    assert "holds a warm start with other settings" in refused("warm-start", "evolve/smoke", "--run", folder, *through)


def test_a_dry_run_counts_forward_passes(run, small, tmp_path):
    shown = run(
        "warm-start", "evolve/smoke", "--run", tmp_path / "start", *small(*DRAWN, "samples=2"), "--dry-run"
    ).stdout
    assert "8 forward passes" in shown
    through = small(*DRAWN[2:], "samples=2")
    shown = run("warm-start", "evolve/smoke", "--run", tmp_path / "start", *through, "--dry-run").stdout
    assert "4 forward and backward passes" in shown
