"""`namm-xmodal prepare`: fetches what an evaluation needs, so that it can run offline afterwards."""

import logging
from typing import Annotated

import typer

prepare_app = typer.Typer(
    help="Fetch weights and texts ahead of time. Example: `namm-xmodal prepare language`", no_args_is_help=True
)


@prepare_app.callback()
def group() -> None:
    """Fetch weights and texts ahead of time. Example: `namm-xmodal prepare language`."""


@prepare_app.command("language")
def prepare_language(
    models: Annotated[
        list[str] | None,
        typer.Option("--model", help="A name of `list models`; as often as needed.", show_default="smollm2-135m"),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option("--texts", help="Another source of text, such as a Debian package.", show_default=False),
    ] = None,
) -> None:
    """Fetch and convert models, read text sources, and say what is there.

    Example: `namm-xmodal prepare language --model smollm2-135m --texts python-source`
    """
    from namm_xmodal.cli.console import console, show_log
    from namm_xmodal.language.models import load_language_model
    from namm_xmodal.language.texts import find_texts

    show_log(logging.INFO)
    for name in texts or ("python-topics", "python-source"):
        documents = find_texts(name)
        size = sum(len(document.text) for document in documents)
        console.print(f"{name}: {len(documents)} documents, {size / 1e6:.1f} million characters")
    for name in models or ("smollm2-135m",):
        with console.status(f"{name}: fetching and converting, once"):
            loaded = load_language_model(name, dtype="float32")
        console.print(str(loaded), soft_wrap=True)
