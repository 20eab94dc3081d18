"""`namm-xmodal prepare`: fetches what an evaluation needs, so that it can run offline afterwards."""

import typer

prepare_app = typer.Typer(
    help="Fetch weights and texts ahead of time. Example: `namm-xmodal prepare language`", no_args_is_help=True
)


@prepare_app.callback()
def _group() -> None:
    """Keeps `language` a command of its own while it is the only one."""
