"""`namm-xmodal --version`: what a bug report has to say about the software and the machine."""

import platform

PACKAGES = ("torch", "transformers", "numpy", "safetensors", "tokenizers")
"""What a result depends on, and what a bug report names."""


def version_text() -> str:
    """Three lines: this package, Python and system, the libraries underneath; nothing heavy is imported for it."""
    from namm_xmodal.evaluation.versions import installed

    own = installed("namm-xmodal")["namm-xmodal"]
    others = ", ".join(f"{name} {version}" for name, version in installed(*PACKAGES).items())
    return f"namm-xmodal {own}\nPython {platform.python_version()}, {platform.platform()}\n{others}"
