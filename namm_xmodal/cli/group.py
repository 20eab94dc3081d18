"""How every command ends: 0 done, 2 a mistake of the user in one line, 130 Ctrl-C, a traceback for our own faults."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from namm_xmodal.errors import MissingDependencyError, NammError
from namm_xmodal.extras import EXTRAS
from namm_xmodal.trust.terminal import printable

USER_ERROR = 2
INTERRUPTED = 130
LONGEST = 4000
"""Characters of an error that are printed; one may quote a value of any length."""


class Commands(TyperGroup):
    """The root command."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command; turns what a person caused into a line and an exit code."""
        try:
            return super().invoke(ctx)
        except NammError as error:
            said = printable(" ".join(str(error).split()))
            print(f"namm-xmodal: {said if len(said) <= LONGEST else f'{said[:LONGEST]}...'}", file=sys.stderr)
            raise typer.Exit(USER_ERROR) from None
        except ModuleNotFoundError as error:  # inside of another library, where `need` does not reach
            package = (error.name or "").partition(".")[0]
            if package not in EXTRAS:
                raise
            print(f"namm-xmodal: {MissingDependencyError(package, EXTRAS[package])}", file=sys.stderr)
            raise typer.Exit(USER_ERROR) from None
        except KeyboardInterrupt as interrupt:  # of a block that is resumable it carries how to go on
            print(f"\nnamm-xmodal: interrupted{''.join(map(str, interrupt.args))}", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
