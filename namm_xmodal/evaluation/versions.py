"""Which software made a result."""

from importlib.metadata import PackageNotFoundError, version


def software_versions() -> dict[str, str]:
    """Versions of what can change a result; `unknown` for a package that runs from a bare checkout."""
    found = {}
    for name in ("namm-xmodal", "torch", "transformers", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
