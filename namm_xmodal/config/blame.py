"""Errors raised by plug-ins: one line that names the plug-in and the place, with the traceback as a note."""

import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from namm_xmodal.config.building import at
from namm_xmodal.errors import NammError, PluginError
from namm_xmodal.plugins import plugin_packages


@contextmanager
def blamed(what: str, *used: Any) -> Iterator[None]:
    """Turns errors that a plug-in caused into one line; all other errors pass unchanged.

    Args:
        what: What was at work, in words: `policies.mine`.
        used: Objects that were at work: where the code of none raised the error itself, but one is of a plug-in, it was
            called in a way that it does not understand, or lacks something.

    Raises:
        PluginError: With name, error, file and line; its note is the traceback.
    """
    try:
        yield
    except NammError:
        raise
    except Exception as error:
        found = plugin_error(what, error, *used)
        if found is None:
            raise
        raise found from None


@contextmanager
def named(what: str, *used: Any) -> Iterator[None]:
    """`blamed`, and errors of this package have `what` put before them, too."""
    try:
        with blamed(what, *used):
            yield
    except PluginError as error:
        raise (error if str(error).startswith(what) else at(what, error)) from None
    except NammError as error:
        raise at(what, error) from None


def plugin_error(what: str, error: Exception, *used: Any) -> PluginError | None:
    """The line that stands for an error of a plug-in; None if no plug-in had a part in it. See `blamed`."""
    packages = plugin_packages()
    places = [_raised_at(error, packages), *(_defined_at(each, packages) for each in used)]
    place = next(filter(None, places), "")
    if not place:
        return None
    said = " ".join(f"{type(error).__name__}: {error}".split())
    line = PluginError(f"{what}: {said} ({place})")
    line.add_note("".join(traceback.format_exception(error)))
    return line


def _raised_at(error: Exception, packages: frozenset[str]) -> str:
    """File and line of the last step that was taken in a plug-in's own code; empty if there was none."""
    steps = [
        f"{trace.f_code.co_filename}:{line}"
        for trace, line in traceback.walk_tb(error.__traceback__)
        if _package(trace.f_globals.get("__name__")) in packages
    ]
    return steps[-1] if steps else ""


def _defined_at(used: Any, packages: frozenset[str]) -> str:
    """File and line of a function, or of an object's class; empty if it is not a plug-in's."""
    code = used if inspect.isfunction(used) else type(used)
    if _package(code.__module__) not in packages:
        return ""
    try:
        return f"{inspect.getsourcefile(code)}:{inspect.getsourcelines(code)[1]}"
    except (OSError, TypeError):  # its file is gone
        return str(code.__module__)


def _package(module: object) -> str:
    return str(module).partition(".")[0]
