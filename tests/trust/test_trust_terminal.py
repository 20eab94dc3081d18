"""Untrusted text is shown on the terminal, not obeyed."""

import io

import pytest
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

from namm_xmodal.cli.app import app
from namm_xmodal.trust.terminal import PlainConsole, printable

STEERING = "\x1b]0;title\x07 \x1b[31mred \x9b2J \r\x08 \u202eright to left \u2066 \ud800"


def test_characters_that_steer_are_written_out():
    assert printable("plain, naïve, 文字, tab\tand\nline") == "plain, naïve, 文字, tab\tand\nline"
    assert printable("\x1b[31m\x9b\r\u202e\ud800") == r"\x1b[31m\x9b\r\u202e\ud800"


@pytest.mark.parametrize("colours", [False, True])
def test_a_console_prints_untrusted_text_as_it_stands(colours):
    file = io.StringIO()
    console = PlainConsole(file=file, width=200)
    console._force_terminal = colours
    table = Table("a[/red]", "b", title=f"[bold]title {STEERING}", caption="[/]")
    table.add_row(f"[link=x]{STEERING}", Text(f"{STEERING}[/red]", style="red"))
    for each in (f"[/red] :smile: {STEERING}", table, Text(STEERING)):
        console.print(each, soft_wrap=isinstance(each, str))
    shown = file.getvalue()
    for kept in ("[/red]", ":smile:", "[bold]title", "[link=x]", "a[/red]", "[/]", r"\x1b]0;title"):
        assert kept in shown
    if not colours:
        assert printable(shown) == shown
    assert not {"\x07", "\x9b", "\u202e", "\r"} & set(shown)
    assert "\x1b[31mred " not in shown and "\x1b]0" not in shown


def run(*arguments, code=2):
    result = CliRunner().invoke(app, [str(each) for each in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.mark.parametrize(
    "line",
    [
        r'"\e]0;owned\a[/red]": 1',
        r'rl: {model: tmaze, policies: {"\e[2J[/red]": {policy: h2oo}}}',
        r'extends: "\e[2J[/red].yaml"',
        r'language: {model: "\e[2J[/red]", policies: {a: {policy: h2o}}, tasks: {[]: }}',
        r'rl: {model: "\e[2J[/red]", policies: {a: {policy: h2o}}}',
    ],
)
@pytest.mark.parametrize("command", ["eval", "evolve", "rollout", "video-qa"])
def test_errors_about_configurations_do_not_steer(tmp_path, command, line):
    (tmp_path / "a.yaml").write_text(line)
    said = run(command, tmp_path / "a.yaml").stderr
    assert said.count("\n") == 1
    assert printable(said) == said


def test_labels_reach_the_terminal_as_they_stand(tmp_path):
    (tmp_path / "a.yaml").write_text(
        r"extends: language/smoke"
        + "\n"
        + r'language: {policies: {"\e[2J[/red]": {policy: h2o}}}'
        + f"\noutput: {tmp_path}/[/bold]\n"
    )
    shown = run("eval", tmp_path / "a.yaml", "--dry-run", code=0).stdout
    assert r"\x1b[2J[/red]: 50%, schedule" in shown and "[/bold]" in shown
    assert printable(shown) == shown


def test_a_path_with_markup_is_a_path(tmp_path):
    assert f"{tmp_path}/[/red].yaml: no such file" in run("eval", f"{tmp_path}/[/red].yaml").stderr


def test_an_endless_value_is_cut(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: {a: " + "b" * 100_000 + "}")
    assert len(run("eval", tmp_path / "a.yaml").stderr) < 5000
