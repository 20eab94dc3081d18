"""The command `namm-xmodal`. Nothing heavy is imported before a command needs it."""

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command line and exits; see `namm_xmodal.cli.group` for the exit codes."""
    from namm_xmodal.cli.app import app

    app(list(sys.argv[1:] if arguments is None else arguments), prog_name="namm-xmodal")
