"""Turns disk errors into advice for the user."""

import errno
import re

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# numpy counts what it could write, safetensors quotes the system; neither gives a number.
_FULL_IN_WORDS = re.compile(r"\d+ requested and \d+ written|No space left|[Qq]uota exceeded|File too large")


def disk_trouble(error: Exception, then: str = "resume") -> str:
    """What went wrong with a file and what to do about it, in one phrase.

    Args:
        error: What the operating system said, or a library in its place.
        then: What to do once it is fixed.
    """
    if getattr(error, "errno", None) in _FULL or _FULL_IN_WORDS.search(str(error)):
        return f"the disk is full, free some space and {then}"
    return f"{getattr(error, 'strerror', None) or error}, fix this and {then}"
