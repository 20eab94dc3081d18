"""How every command ends: 0 done, 2 a mistake of the user in one line, 130 Ctrl-C, a traceback for our own faults."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from namm_xmodal.errors import MissingDependencyError, NammError
from namm_xmodal.extras import EXTRAS

USER_ERROR = 2
INTERRUPTED = 130


class Commands(TyperGroup):
    """The root command."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command; turns what a person caused into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except NammError as error:
            print(f"namm-xmodal: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(USER_ERROR) from None
        except ModuleNotFoundError as error:  # inside of another library, where `need` does not reach
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            print(f"namm-xmodal: {MissingDependencyError(package, EXTRAS[package])}", file=sys.stderr)
            raise typer.Exit(USER_ERROR) from None
        except KeyboardInterrupt:
            print(
                "\nnamm-xmodal: interrupted; results so far are kept, the same command goes on from there",
                file=sys.stderr,
            )
            raise typer.Exit(INTERRUPTED) from None
