"""Every YAML that ships is a test case."""

from dataclasses import replace

import pytest
from evaluations import load, plan_of

from namm_xmodal.config import RunConfig, packaged_configs
from namm_xmodal.errors import NammError
from namm_xmodal.modalities.table import MODALITIES

FILES = [name for name in packaged_configs() if not name.startswith(("evolve/", "train/", "shares/"))]
NEED_DATA = {"longvideobench", "videomme", "mlvu", "nextqa", "egoschema"}
"""Benchmarks that are read from a folder."""


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_makes_a_plan(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(name, None)
    assert config.run.output.startswith("results/")
    for label, section in config.sections.items():
        if getattr(section, "benchmark", "") in NEED_DATA or section.model.startswith("runs/"):
            with pytest.raises(NammError, match=f"^{name}: {label}: .*(no such|not found|missing|folder)"):
                plan_of(replace(config, sections={label: section}))
        else:
            (plan,) = plan_of(replace(config, sections={label: section}))
            assert plan.arms[0].full
            assert plan.total >= 4


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_says_what_it_is(name):
    assert packaged_configs()[name].read_text(encoding="utf-8").startswith("# ")


def test_no_two_files_write_into_one_folder():
    outputs = [load(name, None).run.output for name in FILES]
    assert len(set(outputs)) == len(outputs)


def test_the_main_file_asks_what_the_documentation_promises():
    (plan,) = plan_of(load("language/smollm2", None))
    baselines = {arm.label for arm in plan.arms if arm.budget == 0.25} & {
        arm.label for arm in plan.arms if arm.budget == 0.5
    }
    assert len(baselines - {"namm_untrained"}) >= 8
    assert "namm_untrained" in baselines
    assert len({item.task for item in plan.items}) >= 4


def test_the_main_file_names_every_key():
    text = packaged_configs()["language/smollm2"].read_text(encoding="utf-8")
    assert [key for key in MODALITIES["language"].section.model_fields if f"\n  {key}:" not in text] == []
    assert [key for key in RunConfig.model_fields if f"\n{key}:" not in text] == []


def test_keydiff_and_the_full_cache_are_in_every_modality_of_the_transfer():
    for name in ("transfer/smoke", "transfer/offline", "transfer/paper"):
        for section in load(name, None).sections.values():
            assert {"full", "namm", "keydiff", "random", "recency"} <= set(section.policies)
