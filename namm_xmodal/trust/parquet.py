"""Untrusted parquet files, read a few rows at a time: a megabyte may stand for terabytes of repeated text."""

from pathlib import Path
from typing import Any

from namm_xmodal.extras import need


def parquet_rows(path: Path, most: int) -> list[dict[str, Any]]:
    """All rows of a parquet file.

    Args:
        path: A regular file.
        most: Most bytes that its rows may take, unpacked.

    Raises:
        MissingDependencyError: If parquet cannot be read here.
        ValueError, OSError: If it is no parquet file (pyarrow's own errors are these), or holds more.
    """
    parquet = need("pyarrow.parquet", "reading parquet files")
    rows: list[dict[str, Any]] = []
    left = most
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=16):
        left -= batch.nbytes
        if left < 0:
            raise ValueError(f"more than {most:,} bytes, unpacked")
        rows += batch.to_pylist()
    return rows
