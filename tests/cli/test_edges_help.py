"""Whatever help, docs, configurations and messages tell people to type exists: commands, options, lists, files."""

import re
from pathlib import Path

import pytest
import typer

from namm_xmodal.cli.app import app
from namm_xmodal.config import packaged_configs
from namm_xmodal.config.commands import command_of
from namm_xmodal.config.loader import load_mapping

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"namm-xmodal[ \n]+(?!release|contributors)(?P<rest>[a-z][^`\n\"']*)")
LIST = re.compile(r"`list ([a-z]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
CONFIG = re.compile(
    r"(?<![\w/.-])(?:configs/)?((?:language|evolve|rl|video|transfer)/[a-z0-9_]+)(?:\.yaml)?(?![\w/.-])"
)


def commands(command=None, path=()):
    """Every command with its path, groups included."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, (*path, name))


TREE = dict(commands())
LISTS = {path[1] for path in TREE if path[:1] == ("list",) and len(path) == 2}


def helps():
    """Everything that help prints, by command."""
    for path, command in TREE.items():
        texts = [command.help or "", *(getattr(each, "help", None) or "" for each in command.params)]
        yield " ".join(path) or "namm-xmodal", "\n".join(texts)


def pages():
    """Documentation, comments of configurations, and sources, whose strings and docstrings reach people."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "Makefile", *(ROOT / "docs").glob("*.md")]
    for folder, kind in (("configs", "*.yaml"), ("namm_xmodal", "*.py"), ("adapters", "*.py"), ("envs", "*.py")):
        found += (ROOT / folder).rglob(kind)
    return [*found, *(ROOT / "video").rglob("*.py")]


def unknown(text):
    """What is named in `text` as a command, an option or a list, and is none."""
    odd = [f"list {each}" for each in LIST.findall(text) if each not in LISTS]
    for match in COMMAND.finditer(text):
        words = match["rest"].replace("\\", " ").split()
        path = ()
        while words and (*path, words[0].rstrip(".,;:)")) in TREE:
            path = (*path, words.pop(0).rstrip(".,;:)"))
        command = TREE[path]
        if not path or (getattr(command, "commands", None) and words and words[0].isalpha()):
            odd.append(match[0])
            continue
        if command.context_settings.get("ignore_unknown_options"):  # it passes them on
            continue
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        odd += [f"{match[0]}: {each}" for each in OPTION.findall(" ".join(words)) if each not in options]
    return odd


@pytest.mark.parametrize(("command", "text"), helps(), ids=lambda each: each if len(each) < 30 else "")
def test_help_names_what_exists(command, text):
    assert unknown(text) == []
    assert [name for name in CONFIG.findall(text) if name not in packaged_configs()] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_name_what_exists(page):
    text = page.read_text(encoding="utf-8").replace("\n#   ", "\n")
    assert unknown(text) == []


@pytest.mark.parametrize(
    "page", [page for page in pages() if page.suffix in (".md", ".yaml")], ids=lambda page: page.name
)
def test_commands_are_given_files_of_their_own(page):
    """`namm-xmodal eval rl/hopper` would be refused."""
    reads = {name: "eval" for name in ("eval", "rollout", "video-qa")} | {"evolve": "evolve", "warm-start": "evolve"}
    sections = {"rollout": "rl", "video-qa": "video"}
    for match in COMMAND.finditer(page.read_text(encoding="utf-8")):
        command, *words = match["rest"].split()
        if command in reads and words and (name := CONFIG.fullmatch(words[0])):
            assert name[1] in packaged_configs(), match[0]
            keys = load_mapping(packaged_configs()[name[1]])
            assert command_of(keys) == reads[command], match[0]
            assert sections.get(command, next(iter(keys))) in keys, match[0]


@pytest.mark.parametrize("path", [path for path in TREE if path and path[0] != "list"], ids=" ".join)
def test_every_command_has_an_example(path):
    assert "Example: `namm-xmodal" in " ".join(TREE[path].help.split())


def test_the_checks_above_can_fail():
    assert unknown("a name of `list nothing`") == ["list nothing"]
    assert unknown("run `namm-xmodal evaluate x`")
    assert unknown("run `namm-xmodal list nothing`")
    assert unknown("run `namm-xmodal eval x --wrong`")
    assert not unknown("run `namm-xmodal eval x --set a=1 --fresh`, or namm-xmodal list texts.")
