"""The cache folder: the only folder that this package writes to without being given a path."""

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Folder of converted weights and unpacked texts; everything in it can be fetched again.

    Returns:
        `NAMM_XMODAL_CACHE` if set, else `namm-xmodal` in the platform's cache folder (`XDG_CACHE_HOME` or `~/.cache`;
        `~/Library/Caches` on macOS, `LOCALAPPDATA` on Windows). It need not exist yet.
    """
    if chosen := os.environ.get("NAMM_XMODAL_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "namm-xmodal"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "namm-xmodal"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "namm-xmodal"
