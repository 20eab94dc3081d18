"""Versions of software that can change the bits of a run."""

import platform
from importlib.metadata import PackageNotFoundError, version


def software_versions() -> dict[str, str]:
    """Versions by package; `unknown` for a package that runs from a bare checkout, absent if it is not installed."""
    found = {"python": platform.python_version()}
    for name in ("namm-xmodal", "numpy", "cma", "torch", "transformers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name == "namm-xmodal":
                found[name] = "unknown"
    return found
