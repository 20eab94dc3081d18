"""Every YAML that ships is a test case."""

from dataclasses import replace

import pytest
from evaluations import load, plan_of
from suite_folders import choubun, infinitebench, longbench, longbench_v2

from namm_xmodal.config import RunConfig, packaged_configs
from namm_xmodal.errors import NammError
from namm_xmodal.modalities.table import MODALITIES

FILES = [name for name in packaged_configs() if not name.startswith(("evolve/", "train/", "shares/"))]
NEED_DATA = {"longvideobench", "videomme", "mlvu", "nextqa", "egoschema"}
"""Benchmarks that are read from a folder, as all suites are."""


@pytest.mark.parametrize("name", FILES)
def test_every_shipped_file_makes_a_plan(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = load(name, None)
    assert config.run.output.startswith("results/")
    for label, section in config.sections.items():
        needs = getattr(section, "benchmark", "") in NEED_DATA or getattr(section, "suite", None) is not None
        if needs or section.model.startswith("runs/"):
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


@pytest.mark.parametrize(
    ("name", "folder"),
    [("longbench", longbench), ("infinitebench", infinitebench), ("choubun", choubun), ("longbench_v2", longbench_v2)],
)
def test_suites_have_every_baseline_and_namm_at_several_sizes(name, folder, tmp_path):
    data = folder(tmp_path / "there")
    (plan,) = plan_of(load(f"language/{name}", None, f"language.data={data}"))
    arms = {(arm.label, arm.budget) for arm in plan.arms}
    assert len({label for label, budget in arms if budget == 0.125}) >= 18
    assert ("namm", None) in arms and ("universal", 0.25) in arms and plan.arms[0].full
    assert len(plan.items) == 2 * len({item.task for item in plan.items})
    (small,) = plan_of(load(f"language/{name}", None, f"language.data={data}", "language.n=1"))
    assert small.digest == plan.digest and len(small.items) * 2 == len(plan.items)


def test_a_section_without_a_suite_has_the_digest_that_it_had():
    (plan,) = plan_of(load("language/smollm2", None))
    assert not {"suite", "data", "subset", "n", "max_prompt", "chat", "rope_scaling"} & set(plan.relevant)
