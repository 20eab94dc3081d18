"""Every evolution file that ships is a test case: it validates, says what it is, and its parts can be built."""

import pytest
from evaluations import make

from namm_xmodal.cli.evolve_setup import make_setup
from namm_xmodal.config import describe, packaged_configs
from namm_xmodal.config.evolve import EvolveConfig, load_evolve_config
from namm_xmodal.config.evolve_sections import SizePressureConfig
from namm_xmodal.config.evolve_tasks import held_out_evaluation
from namm_xmodal.evolution.size_pressure import SizePressure

FILES = [name for name in packaged_configs() if name.startswith("evolve/")]
TINY = ["models=tiny-random", "device=cpu", "dtype=float32"]


def test_all_are_there():
    paper = {f"evolve/paper_stage{stage}" for stage in (1, 2, 3)}
    assert {"evolve/smoke", "evolve/smollm2", "evolve/multi_model", *paper} <= set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_makes_a_run(name):
    # The full covariance of the paper is a gigabyte: another strategy stands in where only the file is looked at.
    config = load_evolve_config(name, [*TINY, "strategy.name=snes"])
    setup = make_setup(config)
    assert config.run == f"runs/{name.split('/')[1]}"
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")
    judged = make(**held_out_evaluation(config, "runs/first/policy")).sections["language"]
    assert judged.seed not in (config.seed, config.seed + 1)
    assert judged.policies["namm"] == {"policy": "namm", "path": "runs/first/policy"}
    assert "keydiff" in judged.policies
    assert setup.strategy.spec["parameters"] == 4172


def test_the_stages_of_the_paper():
    first, second, third = (load_evolve_config(f"evolve/paper_stage{stage}") for stage in (1, 2, 3))
    assert (first.strategy.name, first.strategy.population, first.samples) == ("paper", 32, 64)
    assert (first.update_every, first.ema_coefficient, first.size_pressure.weight) == (512, 0.9999, 0)
    assert [first.after, second.after, third.after] == [None, first.run, second.run]
    assert [len(stage.tasks) for stage in (first, second, third)] == [1, 2, 3]
    assert first.tasks.items() <= second.tasks.items() <= third.tasks.items()
    assert first.strategy == second.strategy == third.strategy
    assert not set(third.tasks) & set(first.held_out)


@pytest.mark.parametrize(("name", "most"), [("evolve/smollm2", 40_000), ("evolve/multi_model", 40_000)])
def test_a_generation_fits_two_slow_cores(name, most):
    """200 tokens a second and core: 40,000 tokens are 100 seconds on two."""
    assert make_setup(load_evolve_config(name)).tokens() <= most


def test_the_main_file_names_every_key():
    text = packaged_configs()["evolve/smollm2"].read_text(encoding="utf-8")
    missing = [key for key in EvolveConfig.model_fields if f"\n{key}:" not in text and f"\n# {key}:" not in text]
    assert missing == []


def test_training_samples_are_not_those_of_shipped_evaluations():
    assert load_evolve_config("evolve/smollm2").seed > 2


def test_the_section_on_size_takes_what_size_pressure_takes():
    assert set(SizePressureConfig.model_fields) == set(SizePressure().to_json())
    assert SizePressure(**SizePressureConfig().model_dump())


def test_keys_are_described():
    rows = {row.path: row for row in describe(EvolveConfig)}
    assert {"size_pressure.floor", "evaluator.workers", "statistics.path"} <= set(rows)
    assert all(row.help for row in rows.values())
