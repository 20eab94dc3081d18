"""The software that made a result."""

from importlib.metadata import PackageNotFoundError, version


def software_versions() -> dict[str, str]:
    """Versions of software that can change any result."""
    return installed("namm-xmodal", "torch", "transformers", "numpy")


def installed(*names: str) -> dict[str, str]:
    """Versions by name of distribution; `unknown` for a package that runs from a bare checkout."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
