"""Pages of the reference that the command itself tells: its options, the keys of its files, the names they may hold."""

import json
import re
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command
from typer.testing import CliRunner

from namm_xmodal.cli.app import app

KEYS = {"eval": [], "evolve": ["--evolve"], "train": ["--train"]}


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Adds the pages."""
    pages = {"reference/commands.md": commands(), "reference/names.md": names()}
    pages |= {f"reference/keys/{command}.md": keys(command, flags) for command, flags in KEYS.items()}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def commands() -> str:
    """Help of every command; commands are listed with links to it."""
    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=Context(command), name="namm-xmodal", title="Command line")
    subcommands, name = {}, ""
    for line in text.splitlines():  # typer's list of commands cuts their first lines short: take them from the sections
        if heading := re.match(r"##+ `(namm-xmodal .+)`", line):
            name = heading[1]
        elif name and line and name not in subcommands:
            subcommands[name] = line

    group, lines = "namm-xmodal", []
    for line in text.splitlines():
        if heading := re.match(r"##+ `(namm-xmodal.*)`", line):
            group = heading[1]
        if (item := re.match(r"\* `([\w-]+)`: ", line)) and (about := subcommands.get(f"{group} {item[1]}")):
            line = f"* [`{item[1]}`](#{f'{group} {item[1]}'.replace(' ', '-')}): {about}"
        lines.append(line.replace("<", "&lt;") if line.startswith("* ") and "`" not in line else line)
    return "\n".join(lines)


def keys(command: str, flags: list[str]) -> str:
    """Every key of the files of one command."""
    lines = [
        f"# Keys of `{command}` files",
        "",
        f"What a file for `namm-xmodal {command}` may hold: key, meaning, type and default, as "
        f"`namm-xmodal {' '.join(['list configs --keys', *flags])}` prints them. A dot stands for one level of YAML.",
        "",
    ]
    place = None
    for row in _listed("configs", "--keys", *flags):
        fields = row["fields"]
        here = fields.get("place") or _section(row["name"])
        if here != place:
            place = here
            lines += [
                "",
                f"## {here[0].upper()}{here[1:]}",
                "",
                "| key | meaning | type | default |",
                "|---|---|---|---|",
            ]
        cells = [f"`{row['name']}`", row["about"], fields["type"], f"`{fields['default']}`"]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join([*lines, ""])


def names() -> str:
    """Everything that a configuration may name, with its fields."""
    group = get_command(app).commands["list"].commands
    lines = [
        "# Names in configurations",
        "",
        "What there is to write in a file, with its fields and their defaults, as `namm-xmodal list ...` prints it. "
        "Plug-ins of yours add to it ([how](../docs/extend/plugins.md)).",
        "",
    ]
    for name, command in group.items():
        rows = _listed(name)
        fields = any(row["fields"] for row in rows)
        about = " ".join((command.help or "").split()).split("; `--keys`")[0]
        lines += [f"## {name.capitalize()}", "", about, ""]
        lines += [f"| name | what it is |{' fields |' if fields else ''}", f"|---|---|{'---|' if fields else ''}"]
        for row in rows:
            told = ", ".join(f"{key}: `{value}`" for key, value in row["fields"].items())
            cells = [f"`{row['name']}`", row["about"], *([told] if fields else [])]
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
        lines.append("")
    return "\n".join(lines)


def _listed(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["list", *arguments, "--json"], catch_exceptions=False)
    return json.loads(done.stdout)


def _section(key: str) -> str:
    """Keys without a place stand together by their first part."""
    head, dot, _ = key.partition(".")
    return f"`{head}`" if dot else "at the top"


def _cell(text: str) -> str:
    """One cell of a table: neither a bar nor a tag of HTML ends it."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts).replace("|", "\\|")
