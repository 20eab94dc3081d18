"""Lists of channels in an evolution file: what a run, a warm start and an evaluation make of them, and mistakes by name."""

import pytest
from evaluations import load
from evaluations import run as evaluate

from namm_xmodal import Namm
from namm_xmodal.config.evolve import load_evolve_config
from namm_xmodal.config.save import to_mapping

LIST = "features=[mean_attention, key_novelty, relative_age, {channel: convolution, standardise: context}]"
CACHE = "features=[key_novelty, nearest_key]"


def test_a_run_with_channels_saves_a_policy_that_an_evaluation_fits(run, small, tmp_path):
    folder = tmp_path / "whole"
    run("evolve", "evolve/smoke", "--run", folder, *small(LIST, "generations=1", "validation=0"))
    policy = Namm.from_pretrained(folder / "policy")
    assert policy.features.name == "mean_attention+key_novelty+relative_age+convolution (context)"
    assert policy.statistics.mean.shape == (2,) and "tiny-random" in policy.statistics.source
    assert load_evolve_config(folder / "config.yaml").features == load_evolve_config("evolve/smoke", [LIST]).features
    run("evolve", "--resume", folder, "--set", "generations=2")
    spec = "language.policies.{0}={{policy: namm, path: '{1}/policy', threshold: -.inf, statistics: {0}}}"
    records = evaluate(
        load(
            "language/smoke",
            tmp_path / "results",
            "language.policies.namm=null",
            "language.tasks.next_token=null",
            "language.tasks.key_retrieval.n=1",
            "language.budgets=[0.5]",
            *(spec.format(name, folder) for name in ("frozen", "estimated", "estimated_by_layer")),
        )
    )
    fits = {record.policy: record.fit for record in records if record.fit}
    assert fits["estimated"].startswith("estimated on tiny-random")
    assert fits["estimated_by_layer"].endswith("layer 0")
    assert all(record.status == "scored" for record in records)


def test_without_frozen_channels_there_are_no_statistics(run, small, tmp_path):
    folder = tmp_path / "start"
    few = ("gradient.steps=2", "gradient.anneal=1", "validation=0", "generations=1")
    run("warm-start", "evolve/smoke", "--run", folder, *small(CACHE, *few))
    policy = Namm.from_pretrained(folder / "policy")
    assert policy.statistics.source == "none (every channel is standardised in context)"
    assert not policy.reads.anything
    begun = (CACHE, f"start={folder}/policy", f"statistics.path={folder}/policy")
    run("evolve", "evolve/smoke", "--run", tmp_path / "run", *small(*few, *begun))
    assert Namm.from_pretrained(tmp_path / "run/policy").features.name == "key_novelty+nearest_key"
    few = ("--length", "300", "--count", "1", "--floor", "8", "--protect-recent", "4", "--budget", "0.5")
    made = ("--model", "tiny-random", "--statistics", "estimated", "--output", tmp_path / "half")
    run("calibrate", tmp_path / "run/policy", *made, *few)
    assert Namm.from_pretrained(tmp_path / "half").schedule.seen == (128, 256)


def test_a_name_stays_a_name_in_the_digest_of_a_run():
    assert to_mapping(load_evolve_config("evolve/smoke"))["features"] == "spectrogram"


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("spectogram", "features: unknown channel 'spectogram': did you mean spectrogram"),
        ("[spectrogram, key_noveltyy]", "features: unknown channel 'key_noveltyy': did you mean key_novelty"),
        (
            "[spectrogram, spectrogram]",
            "features: ['spectrogram', 'spectrogram']: contains the channel spectrogram twice",
        ),
        ("[]", "features: []: expected at least one channel"),
        ("true", "features: True: expected a channel such as spectrogram, or a list"),
        ("[3]", "features: [3]: expected a channel such as spectrogram, or a list"),
        ("[{channel: convolution, rows: 3}]", "features: rows: unknown setting of the channel convolution"),
        ("[{channel: convolution, standardise: no}]", "features: standardise=False: expected a value like 'frozen'"),
    ],
)
def test_mistakes_in_channels_are_one_line(refused, features, message):
    assert f"evolve/smoke: {message}" in refused("evolve", "evolve/smoke", "--dry-run", "--set", f"features={features}")


def test_a_start_with_other_channels_is_refused(refused, tmp_path):
    Namm.untrained("zeros").save_pretrained(tmp_path / "old")
    start = ("evolve", "evolve/smoke", "--dry-run", "--set", f"start={tmp_path}/old", "--set", "scorer=bam")
    assert "expected one set of 4335 parameters, spectrogram+key_novelty -> bam" in refused(
        *start, "--set", "features=[spectrogram, key_novelty]"
    )
    assert "was evolved with ema_coefficient=0.99, but this run has 0.9; set ema_coefficient: 0.99" in refused(
        *start, "--set", "ema_coefficient=0.9"
    )


def test_untrained_policies_of_an_evaluation_take_channels(refused):
    line = refused("check", "policy", "namm", "init=random", "features=[spectrogram,key_noveltyy]")
    assert "features: unknown channel 'key_noveltyy': did you mean key_novelty" in line
    assert "features: only applies to an untrained one" in refused(
        "check", "policy", "namm", "path=namm-smollm2", "features=[key_novelty]"
    )
