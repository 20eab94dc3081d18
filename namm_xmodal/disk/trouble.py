"""What a refusing disk means for the person at the keyboard."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_trouble(error: OSError, then: str = "resume") -> str:
    """What went wrong with a file and what to do about it, in one phrase.

    Args:
        error: What the operating system said.
        then: What to do once it is mended.
    """
    if error.errno in _FULL:
        return f"the disk is full, free some space and {then}"
    return f"{error.strerror or error}, mend this and {then}"
