"""Habits of the project that no user sees: issue forms, continuous integration, pre-commit, versions, changelog."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import namm_xmodal

ROOT = Path(__file__).parents[2]
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    (canonicalize_name(name), version)
    for name, _, version in (line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    if version and not name.startswith("#")
)


def read(path: str):
    return yaml.safe_load((ROOT / path).read_text())


def test_there_are_forms_for_bugs_features_and_questions():
    assert [path.stem for path in FORMS] == ["bug", "feature", "question"]
    assert read(".github/ISSUE_TEMPLATE/config.yml") == {"blank_issues_enabled": False}


@pytest.mark.parametrize("path", FORMS, ids=lambda p: p.stem)
def test_forms_are_forms_that_github_takes(path):
    form = yaml.safe_load(path.read_text())
    assert set(form) == {"name", "description", "labels", "body"}
    ids = [field["id"] for field in form["body"]]
    assert len(ids) == len(set(ids))
    for field in form["body"]:
        assert set(field) <= {"type", "id", "attributes", "validations"}
        assert field["type"] in {"textarea", "input", "dropdown"}
        allowed = {"label", "description", "placeholder"}
        extra = {"textarea": {"render", "value"}, "input": {"value"}, "dropdown": {"options", "multiple"}}
        assert {"label"} <= set(field["attributes"]) <= allowed | extra[field["type"]]
        assert isinstance(field["validations"]["required"], bool)
        for option in field["attributes"].get("options", []):
            assert isinstance(option, str), f"{option!r} is no text: quote it"
    assert any(field["validations"]["required"] for field in form["body"])


def test_bugs_name_versions_by_a_command():
    form = read(".github/ISSUE_TEMPLATE/bug.yml")
    (versions,) = (field for field in form["body"] if field["id"] == "versions")
    assert "namm-xmodal --version" in versions["attributes"]["description"]
    assert versions["validations"]["required"]


def test_pull_requests_are_asked_for_tests_and_the_changelog():
    text = (ROOT / ".github/pull_request_template.md").read_text()
    assert "make test" in text
    assert "CHANGELOG.md" in text


def test_git_does_not_ignore_hidden_files_of_the_project():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    paths = [path for path in (ROOT / ".github").rglob("*") if path.is_file()] + [ROOT / ".pre-commit-config.yaml"]
    assert len(paths) >= 7
    done = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def test_the_workflow_runs_make_test_and_nothing_else():
    workflow = read(".github/workflows/test.yml")
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML reads `on` as true
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "run" in step] == ["make test"]
    assert {step["uses"].partition("@")[0] for step in steps if "uses" in step} == {
        "actions/checkout",
        "actions/setup-python",
    }
    (python,) = (step["with"]["python-version"] for step in steps if "with" in step)
    assert Version(python) in Requirement(f"python{PROJECT['requires-python']}").specifier
    assert [path.name for path in (ROOT / ".github/workflows").iterdir()] == ["test.yml"]


def recipes() -> dict[str, list[str]]:
    """Commands of each target of the Makefile."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / "Makefile").read_text().splitlines():
        if match := re.match(r"([\w-]+):(?!=)", line):
            found[match[1]] = commands = []
        elif line.startswith("\t"):
            commands.append(line.strip())
    return found


def test_pre_commit_has_the_gates_of_make_test_at_the_same_versions():
    assert re.search(r"^test: lint types unit$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    gates = {"$(BIN)/ruff check .": "ruff-check", "$(BIN)/ruff format --check .": "ruff-format", "$(BIN)/mypy": "mypy"}
    assert [*recipes()["lint"], *recipes()["types"]] == [*gates]
    repos = read(".pre-commit-config.yaml")["repos"]
    hooks = {hook["id"]: (repo, hook) for repo in repos for hook in repo["hooks"]}
    assert set(hooks) == set(gates.values())
    for name in ("ruff-check", "ruff-format"):
        assert hooks[name][0]["rev"] == f"v{PINS['ruff']}", "pre-commit and constraints.txt name different ruffs"
    assert hooks["mypy"][1]["entry"] == ".venv/bin/mypy"  # which make installs at the version of constraints.txt
    assert not hooks["mypy"][1]["pass_filenames"]


def test_constraints_pin_every_requirement():
    extras = PROJECT["optional-dependencies"]
    wanted = [
        Requirement(each) for each in [*PROJECT["dependencies"], *(r for group in extras.values() for r in group)]
    ]
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if name != PROJECT["name"]:
            assert name in PINS, f"{requirement}: not in constraints.txt"
            assert Version(PINS[name]) in requirement.specifier, f"{requirement}: constraints.txt has {PINS[name]}"


def test_one_version_everywhere():
    assert namm_xmodal.__version__ == PROJECT["version"] == read("CITATION.cff")["version"]


def test_the_changelog_has_a_section_for_each_version_newest_first():
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    first, *rest = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    released = rest if first == "Unreleased" else [first, *rest]
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}", each) for each in released]
    assert all(dated), f"sections are Unreleased, then X.Y.Z - YYYY-MM-DD: {released}"
    versions = [Version(match[1]) for match in dated]
    assert versions == sorted(versions, reverse=True)
    assert first == "Unreleased" or str(versions[0]) == PROJECT["version"]
    assert not versions or Version(PROJECT["version"]) >= versions[0]


def test_releasing_names_what_has_to_be_done():
    text = (ROOT / "RELEASING.md").read_text()
    for step in (
        "pyproject.toml",
        "__init__.py",
        "CITATION.cff",
        "Unreleased",
        "make test",
        "python -m build",
        "git tag",
    ):
        assert step in text


def test_types_are_shipped():
    assert (ROOT / "namm_xmodal/py.typed").read_bytes() == b""
