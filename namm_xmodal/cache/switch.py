"""Whether a model currently attends through pruned caches: one switch per model, however many blocks are open on it."""

from collections.abc import Callable
from threading import Lock
from typing import Any

from namm_xmodal.errors import UnsupportedOperationError


class Switch:
    """Turned on by the first block that opens on a model and off by the last one that closes, in whatever order they do.

    The caches made for a model share its switch: outside every block the model's own attention would take the newest
    tokens for all there are.

    Attributes:
        blocks: What is open, oldest first.
    """

    def __init__(self) -> None:
        """Off."""
        self.blocks: list[Any] = []
        self._turn_off: Callable[[], None] | None = None
        self._lock = Lock()

    def open(self, block: Any, turn_on: Callable[[], Callable[[], None]]) -> None:
        """Counts a block in.

        Args:
            block: The block.
            turn_on: Called if it is the first; returns what undoes it.
        """
        with self._lock:
            if self._turn_off is None:
                self._turn_off = turn_on()
            self.blocks.append(block)

    def close(self, block: Any) -> None:
        """Counts a block out; the last one restores the model."""
        with self._lock:
            self.blocks.remove(block)
            if not self.blocks and self._turn_off is not None:
                turn_off, self._turn_off = self._turn_off, None
                turn_off()

    def require_on(self) -> None:
        """Refuses new tokens where the model's own attention would read them.

        Raises:
            UnsupportedOperationError: If no block is open.
        """
        if not self.blocks:
            raise UnsupportedOperationError(
                "a pruned cache was used outside its block, where the model would only see the newest tokens; continue "
                "inside `with pruned(...)`"
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> "Switch":
        """Itself: the copy of a cache belongs to the same model."""
        return self

    def __reduce__(self) -> Any:
        """Refused.

        Raises:
            UnsupportedOperationError: Always.
        """
        raise UnsupportedOperationError(
            "a pruned cache cannot be pickled, since it belongs to a model of this process; save the ids and read them "
            "again"
        )
