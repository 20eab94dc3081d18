"""TensorBoard: event files, written by tensorboard's own writer (no account, no network)."""

import time
from pathlib import Path
from typing import Any

from namm_xmodal.extras import need


class TensorBoardTracker:
    """Scalars in a folder that `tensorboard --logdir` shows."""

    name = "tensorboard"

    def __init__(self, folder: Path) -> None:
        """Remembers the folder.

        Args:
            folder: Where the event files go.

        Raises:
            MissingDependencyError: If tensorboard is not installed.
        """
        writer = need("tensorboard.summary.writer.event_file_writer", "logging to TensorBoard")
        self._folder = folder
        self._open = writer.EventFileWriter
        self._writer: Any = None

    def start(self, run: str, config: dict[str, Any], first_step: int) -> None:
        """See `Tracker`."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # type: ignore[import-untyped]

        self._writer = self._open(str(self._folder))
        # Tells the viewer to forget what an interrupted session logged from this step on.
        session = SessionLog(status=SessionLog.SessionStatus.START)
        self._writer.add_event(Event(wall_time=time.time(), step=first_step, session_log=session))

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """See `Tracker`."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]

        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self._writer.flush()

    def close(self) -> None:
        """See `Tracker`."""
        self._writer.close()
