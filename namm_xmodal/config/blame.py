"""What the code of a plug-in raises: one line that says whose it is and where, with the whole traceback as a note."""

import inspect
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from namm_xmodal.config.building import at
from namm_xmodal.errors import NammError, PluginError
from namm_xmodal.plugins import is_of_plugin


@contextmanager
def blamed(what: str, *used: Any) -> Iterator[None]:
    """Inside, an error that a plug-in caused becomes one line; all others pass as they are.

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
    place = _raised_at(error) or next((_defined_at(each) for each in used if is_of_plugin(type(each).__module__)), "")
    if not place:
        return None
    said = " ".join(f"{type(error).__name__}: {error}".split())
    line = PluginError(f"{what}: {said} ({place})")
    line.add_note("".join(traceback.format_exception(error)))
    return line


def _raised_at(error: Exception) -> str:
    """File and line of the last step that was taken in a plug-in's own code; empty if there was none."""
    steps = [
        f"{trace.f_code.co_filename}:{line}"
        for trace, line in traceback.walk_tb(error.__traceback__)
        if is_of_plugin(str(trace.f_globals.get("__name__")))
    ]
    return steps[-1] if steps else ""


def _defined_at(used: Any) -> str:
    try:
        return f"{inspect.getsourcefile(type(used))}:{inspect.getsourcelines(type(used))[1]}"
    except (OSError, TypeError):  # its file is gone
        return type(used).__module__
