"""A memory limit for reading untrusted files: a header of some hundred bytes can claim a hundred million frames."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from namm_xmodal.errors import OversizedVideoError

INDEX_BYTES = 896 * 2**20
"""Most that a process may grow by while it looks for a video's frames. Three hours at 60 a second take 0.1 GiB."""

_STATM = Path("/proc/self/statm")


@contextmanager
def bounded_memory(path: Path, most: int = INDEX_BYTES) -> Iterator[None]:
    """Lets the process grow by at most `most` bytes, where the system can say how large it is (Linux).

    Raises:
        OversizedVideoError: If that did not suffice.
    """
    try:
        if not _STATM.exists():
            yield
            return
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = int(_STATM.read_text().split()[0]) * mmap.PAGESIZE + most
        limits = [each for each in (limit, soft, hard) if each != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except MemoryError:
        raise OversizedVideoError(
            f"{path}: finding its frames takes more than {most >> 20} MiB; the file is damaged or hostile"
        ) from None
