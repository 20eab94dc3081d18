"""One exception class per kind of user error; each message is one line: value given, value expected, remedy."""

from typing import Any

PLUGINS_FIRST = "`--plugins FILE.py` before the command"
"""How the names of a plug-in become known, for messages."""

PLUGGABLE = ("policy", "channel", "task", "metric", "benchmark", "adapter", "environment", "strategy")
"""Kinds of names that a plug-in may add."""


class NammError(Exception):
    """Base of every error this package raises on purpose. The command line prints it without a traceback."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The inherited one calls the class with the message alone, which not every constructor takes.
        return _restored, (type(self), self.args, vars(self))

    def at(self, place: str) -> "NammError":
        """The same error with its place, such as a file or a key, in front of the message."""
        return _restored(type(self), (f"{place}: {self}",), vars(self))


def _restored(kind: type[NammError], arguments: tuple[Any, ...], fields: dict[str, Any]) -> NammError:
    error = kind.__new__(kind, *arguments)
    vars(error).update(fields)
    return error


class ConfigError(NammError):
    """Raised when a configuration has an unknown key, a wrong type or values that contradict each other."""


class UnknownNameError(NammError):
    """Raised when a policy, task, adapter or model name is not in its table; lists the nearest names."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(sorted(known))}"
        if kind in PLUGGABLE:
            hint += f"; a name from a plug-in file needs {PLUGINS_FIRST}"
        super().__init__(f"unknown {kind} {name!r}: {hint}")
        self.kind, self.name, self.known = kind, name, known


class BudgetError(NammError):
    """Raised when a cache budget is not positive or leaves no room for the protected tokens."""


class ClockError(NammError):
    """Raised when `update_every` is not positive or not a multiple of the policy's hop."""


class UnsupportedModelError(NammError):
    """Raised when a model lacks what pruning needs; names the missing part."""


class UnsupportedOperationError(NammError):
    """Raised for cache operations that eviction makes impossible, such as cropping (assisted decoding)."""


class CheckpointError(NammError):
    """Raised when a saved policy is missing, of another format version, of other shapes, or not finite."""


class DataError(NammError):
    """Raised when a text, dataset or task cannot provide what is requested."""


class ItemError(DataError):
    """Raised when a benchmark item is unusable; it is counted as skipped, with the reason."""


class VideoError(ItemError):
    """Base class of errors about video files."""


class MissingVideoError(VideoError):
    """Raised when there is no file at the path, or the benchmark names none."""


class EmptyVideoError(VideoError):
    """Raised when a file has no bytes, or a stream no frames."""


class NotAVideoError(VideoError):
    """Raised when a file is not a readable media container, such as a web page or a file without its index."""


class NoVideoStreamError(VideoError):
    """Raised when a media file has no video stream, such as audio only."""


class TruncatedVideoError(VideoError):
    """Raised when a file has fewer frames than it declares; says how many can be decoded."""


class CorruptVideoError(VideoError):
    """Raised when requested frames are damaged or do not decode; says how many."""


class UnsupportedCodecError(VideoError):
    """Raised when no decoder for the video's codec is installed."""


class OversizedVideoError(VideoError):
    """Raised when a video's pictures or its index exceed the size limit; gives the limit."""


class VideoTimeoutError(VideoError):
    """Raised when decoding took longer than allowed; the decoder's process was killed."""


class ContractError(NammError):
    """Raised when a policy, task, adapter or metric breaks its contract; names the clause."""


class MissingDependencyError(NammError):
    """Raised when an optional dependency is needed; says which extra installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'namm-xmodal[{extra}]'")
        self.feature, self.extra = feature, extra


class PluginError(NammError):
    """Raised when a plug-in cannot be imported, reuses an existing name, or raises an error; names the plug-in."""


class ResultsError(NammError):
    """Raised when a results file belongs to another configuration or cannot be written."""


class FolderError(NammError):
    """Raised when an output would replace an input, another command's folder, or a file that the command did not make."""


class FolderInUseError(FolderError):
    """Raised when another process is writing into a folder."""


class EvolutionError(NammError):
    """Raised when a run of evolution cannot start, continue or resume; its journal is left intact."""


class WorkerError(NammError):
    """Raised when worker processes cannot be started or keep dying; names the piece of work."""
