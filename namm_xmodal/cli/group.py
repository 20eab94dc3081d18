"""Exit codes: 0 success, 2 user error (printed on one line), 130 Ctrl-C; our own bugs show a traceback."""

import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from namm_xmodal.errors import MissingDependencyError, NammError
from namm_xmodal.extras import EXTRAS
from namm_xmodal.trust.terminal import printable

USER_ERROR = 2
INTERRUPTED = 130
LONGEST = 4000
"""Characters of an error message that are printed; a message may quote a value of any length."""


class Commands(TyperGroup):
    """The root command."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command; turns a user error into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except NammError as error:
            _say(error, ctx)
            raise typer.Exit(USER_ERROR) from None
        except ModuleNotFoundError as error:  # inside of another library, where `need` does not reach
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                _blame_a_plugin(error, ctx)
                raise
            print(f"namm-xmodal: {MissingDependencyError(package, EXTRAS[package])}", file=sys.stderr)
            raise typer.Exit(USER_ERROR) from None
        except KeyboardInterrupt as interrupt:  # of a block that is resumable it carries how to go on
            print(f"\nnamm-xmodal: interrupted{''.join(map(str, interrupt.args))}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except typer.Exit:
            raise
        except Exception as error:
            _say_where(error, ctx)
            _blame_a_plugin(error, ctx)
            raise


def _say_where(error: Any, ctx: Any) -> None:
    """Adds to the message about an option that a command does not know that the root does."""
    name = getattr(error, "option_name", None)
    if any(name in option.opts for option in ctx.command.params):
        error.message += f"; it stands before the command: namm-xmodal {name} ... {ctx.invoked_subcommand}"


def _say(error: NammError, ctx: Any) -> None:
    """One line; with `--traceback`, before it, where the error comes from."""
    notes = getattr(error, "__notes__", [])
    if ctx.params.get("whole_traceback"):
        print(*map(_safe, traceback.format_exception(error)), sep="\n", file=sys.stderr)
    said = printable(" ".join(str(error).split()))
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]}..."
    hint = "; run `namm-xmodal --traceback ...` for details" if notes and not ctx.params.get("whole_traceback") else ""
    print(f"namm-xmodal: {said}{hint}", file=sys.stderr)


def _safe(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))


def _blame_a_plugin(error: Exception, ctx: Any) -> None:
    """Ends the command if a plug-in raised the error; our own bugs show a traceback."""
    from namm_xmodal.config.blame import plugin_error

    if (found := plugin_error("plug-in", error)) is not None:
        _say(found, ctx)
        raise typer.Exit(USER_ERROR) from None
