"""Plug-ins: files named on the command line, and entry points of installed distributions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from families import tiny

from namm_xmodal import Namm, check_policy, check_task
from namm_xmodal.adapters import table as adapters
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.cli.check import check_adapter_command
from namm_xmodal.config.policies import build_policy
from namm_xmodal.errors import ConfigError, NammError, PluginError, UnknownNameError
from namm_xmodal.plugins import FILES, Registry, use_files
from namm_xmodal.policies.namm import make_features
from namm_xmodal.policies.namm.channels import CHANNELS
from namm_xmodal.policies.recency import Recency

ROOT = Path(__file__).parents[2]
EVERY_KIND = Path(__file__).with_name("every_kind.py")
EXAMPLE = ROOT / "examples/timeseries"
MINE = "from namm_xmodal.policies.recency import Recency\n"


def policies():
    """The table as a new process has it, with one policy of the package."""
    return Registry("policies", {"recency": Recency})


def names_with(path):
    """Of all policies, if the command line is given this file."""
    use_files([path])
    return list(policies())


def command(folder, *arguments, code=0, path=()):
    """Runs the command line in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *map(str, path)]), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "namm_xmodal", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr[-3000:]
    return done


def test_a_file_with_one_of_each_kind_is_evaluated_by_workers(tmp_path):
    config = EVERY_KIND.with_suffix(".yaml")
    done = command(tmp_path, "--plugins", EVERY_KIND, "eval", config, "--output", "out")
    rows = [json.loads(line) for line in (tmp_path / "out/results.jsonl").read_text().splitlines()]
    records = [row for row in rows if "section" in row and "item" in row]
    assert {(row["section"], row["policy"]) for row in records} == {
        (section, policy) for section in ("language", "video", "rl", "count") for policy in ("full", "own")
    }
    assert all(row["status"] == "scored" for row in records)
    assert {row["task"] for row in records} == {"parrot", "own_needles", "Own/ShortMaze-v0", "count"}
    assert "vowels" in done.stdout and "vowels" in next(r for r in records if r["section"] == "language")["scores"]
    counted = [r["scores"]["number"] for r in records if (r["section"], r["policy"]) == ("count", "own")]
    assert sorted(counted) == [0.0, 1.0]
    assert (tmp_path / "out/report/index.html").is_file()


@pytest.mark.parametrize("kind", ["policies", "channels", "tasks", "benchmarks", "adapters", "strategies"])
def test_lists_show_what_a_file_adds(files, kind, monkeypatch):
    names = {
        "policies": "value_norm",
        "channels": "key_length",
        "tasks": "parrot",
        "benchmarks": "own_needles",
        "adapters": "own_adapter",
    }
    monkeypatch.setenv(FILES, json.dumps([str(EVERY_KIND)]))
    assert names.get(kind, "own_search") in Registry(kind, {})


def test_a_model_of_a_new_kind_finds_its_adapter(files, monkeypatch):
    import torch

    monkeypatch.setattr(adapters, "ADAPTERS", Registry("adapters", dict(adapters.ADAPTERS)))
    use_files([EVERY_KIND])
    assert adapters.find_adapter(torch.nn.Linear(1, 1)).name == "own_adapter"


def test_an_adapter_derived_from_one_that_fits_as_well_is_preferred(monkeypatch):
    class Derived(LanguageAdapter):
        name = "derived"

    class Unlike(Derived):
        def missing(self, model):
            return "is not of its kind"

    known = {**adapters.ADAPTERS, "derived": Derived, "unlike": Unlike}
    model = tiny("llama")
    assert adapters.find_adapter(model).name == "language"
    monkeypatch.setattr(adapters, "ADAPTERS", known)
    found = adapters.find_adapter(model)
    assert type(found) is Derived


def test_an_adapter_without_an_example_is_checked_in_python(files, monkeypatch):
    monkeypatch.setattr(adapters, "ADAPTERS", Registry("adapters", dict(adapters.ADAPTERS)))
    use_files([EVERY_KIND])
    with pytest.raises(ConfigError, match=r"call namm_xmodal\.check_adapter"):
        check_adapter_command("own_adapter")


def test_a_channel_of_a_file_is_seen_saved_and_found_again(files, tmp_path, monkeypatch):
    use_files([EVERY_KIND])
    policy = Namm.untrained("random", features=make_features(["spectrogram", "key_length"]))
    check_policy(policy)
    policy.save_pretrained(tmp_path / "policy")
    assert Namm.from_pretrained(tmp_path / "policy").features.name == "spectrogram+key_length"
    monkeypatch.setenv(FILES, "[]")
    done = command(tmp_path, "check", "policy", "namm", "path=policy", code=2)
    assert "unknown channel 'key_length'" in done.stderr and "load its plug-in with --plugins" in done.stderr
    use_files([files("from every_kind import KeyLength\nCHANNELS = {'key_size': KeyLength}")])
    vars(CHANNELS).pop("_entries")
    with pytest.raises(ConfigError, match="the class of channel key_size has name='key_length'"):
        make_features("key_size")


def test_the_policy_and_the_task_of_the_file_pass_their_contracts(files):
    use_files([EVERY_KIND])
    check_policy(Registry("policies", {})["value_norm"](budget=0.5))
    check_task(Registry("tasks", {})["parrot"]())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module", r"cannot be imported \(ModuleNotFoundError: No module named 'no_such_module'\)"),
        ("def broken(:", r"cannot be imported \(SyntaxError: "),
        ("raise RuntimeError('two\\nlines')", r"cannot be imported \(RuntimeError: two lines\); fix the file"),
        ("import sys; sys.exit(3)", r"cannot be imported \(SystemExit: 3\)"),
        (MINE + "POLICIES = {'recency': Recency}", r"policies already has 'recency'; rename the plug-in's entry"),
        (MINE + "POLICIES = [Recency]", r"POLICIES is of type list, expected a mapping such as \{'mine': Mine\}"),
        (MINE + "POLICIES = {'mine': Recency(budget=2)}", r"'mine' is Recency\(.*\), expected a class"),
        (
            "from namm_xmodal.plugins import Registry\nfrom namm_xmodal.policies.recency import Recency\n"
            "Registry('policies', {'recency': Recency})['recency']",
            r"looks up policies while it is being imported; move the lookup into a function",
        ),
    ],
)
def test_broken_files_are_one_line(files, text, said):
    path = files(text)
    with pytest.raises(PluginError, match=said) as caught:
        names_with(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


METRIC = "from namm_xmodal.language.metrics import Metric\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "class Mine: ...\nMODALITIES = {'mine': Mine}",
            r"'mine' is <class .*>, expected an instance, such as Mine\(\)",
        ),
        ("MODALITIES = {'x': 3}", r"modalities: 'x' is 3, expected an instance of .*\.Modality, or of a class derived"),
        ("METRICS = {'x': 3}", r"metrics: 'x' is 3, expected an instance of .*\.Metric"),
        ("ENVIRONMENTS = {'x': 3}", r"environments: 'x' is 3, expected a class or function that makes one"),
        (
            METRIC + "METRICS = {'m': Metric('other', 0, 1, True, '')}",
            r"metrics: 'm' calls itself 'other'; use one name",
        ),
        ("x = 1", r"defines none of POLICIES, .*; expected a mapping such as POLICIES = \{'mine': Mine\}$"),
        ("METRIC = {'a': 1}", r"defines none of .* \(METRIC: did you mean METRICS\?\)$"),
        ("policies = {'a': 1}", r"defines none of .* \(policies: did you mean POLICIES\?\)$"),
        ("POLICIES = {}", r"POLICIES is empty, expected an entry such as \{'mine': Mine\}"),
    ],
)
def test_what_a_file_adds_is_checked_when_it_is_loaded(files, text, said):
    with pytest.raises(PluginError, match=said):
        use_files([files(text)])


@pytest.mark.parametrize("name", ["json.py", "pytest.py", "namm_xmodal.py"])
def test_a_file_called_like_another_module_is_refused(files, name):
    path = files("", name)
    with pytest.raises(PluginError, match=f"another module is already named {path.stem}; rename the file"):
        use_files([path])


@pytest.mark.parametrize("name", ["missing.py", "own.txt", "my-plugin.py", "a.b.py", "folder"])
def test_what_is_no_python_file_is_refused(tmp_path, name):
    if name == "folder":
        (tmp_path / name).mkdir()
    elif name != "missing.py":
        (tmp_path / name).write_text("")
    with pytest.raises(PluginError, match=r"no such file; expected a Python file such as mine\.py"):
        use_files([tmp_path / name])


def test_a_class_without_fields_is_refused_when_it_is_used(files, monkeypatch):
    from namm_xmodal.policies import table

    use_files([files("class Mine: ...\nPOLICIES = {'mine': Mine}")])
    monkeypatch.setattr(table, "POLICIES", policies())
    with pytest.raises(
        ConfigError, match="Mine is not a dataclass; expected a dataclass whose fields are its hyper-parameters"
    ):
        build_policy({"policy": "mine", "budget": 2})


@pytest.mark.parametrize("name", ["own_plugin:Mine", "own_plugin.Mine", "{path}:Mine", "os.system"])
def test_nothing_is_imported_because_a_file_names_it(files, tmp_path, name, monkeypatch):
    path = files("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    sys.path.append(str(tmp_path))
    with pytest.raises(UnknownNameError):
        build_policy({"policy": name.format(path=path)})
    assert "own_plugin" not in sys.modules


def distribution(folder, name, entry_points):
    """What pip leaves behind of an installed distribution."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entry_points)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("mine = no_such_module:Mine", r"'mine' of broken: cannot be imported \(ModuleNotFoundError"),
        ("mine = namm_xmodal.policies.recency:Mine", r"'mine' of broken: cannot be imported \(AttributeError"),
        ("recency = namm_xmodal.policies.recency:Recency", r"'recency' of broken: policies already has 'recency'"),
    ],
)
def test_broken_distributions_are_one_line(files, tmp_path, line, said):
    distribution(tmp_path, "broken", f"[namm_xmodal.policies]\n{line}\n")
    sys.path.append(str(tmp_path))
    with pytest.raises(NammError, match=said) as caught:
        len(policies())
    assert "\n" not in str(caught.value)


def test_a_fourth_modality_is_one_folder_and_one_row(tmp_path):
    """The example is installed as its README says; nothing of the package knows of it."""
    target = tmp_path / "installed"
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, "--target", target, EXAMPLE], check=True)
    small = ["series.model=tiny-random", "series.n=2", "series.length=24"]
    sets = [word for change in small for word in ("--set", change)]
    done = command(tmp_path, "eval", EXAMPLE / "series.yaml", "--output", "out", *sets, path=[target])
    assert "value_norm" in done.stdout and "value_probability" in done.stdout
    records = (tmp_path / "out/results.jsonl").read_text().splitlines()
    policies = {row["policy"] for row in map(json.loads, records) if row.get("section") == "series" and "item" in row}
    assert policies == {"full", "namm", "keydiff", "random", "value_norm"}
    keys = command(tmp_path, "list", "configs", "--keys", "--json", path=[target]).stdout
    assert "series.period" in {row["name"] for row in json.loads(keys)}
    missing = command(tmp_path, "eval", EXAMPLE / "series.yaml", code=2)
    assert "series: unknown key or section" in missing.stderr
