"""Weights & Biases: online with an account, offline with WANDB_MODE=offline."""

from pathlib import Path
from typing import Any, Literal

from namm_xmodal.extras import need

Mode = Literal["online", "offline", "disabled"]


class WandbTracker:
    """One W&B run per run of evolution; a resumed one continues the same."""

    name = "wandb"

    def __init__(self, folder: Path, *, project: str = "namm-xmodal", mode: Mode | None = None) -> None:
        """Remembers where to log.

        Args:
            folder: Where its local files go.
            project: Name of the project.
            mode: Absent: what WANDB_MODE says, else online.

        Raises:
            MissingDependencyError: If wandb is not installed.
        """
        self._wandb = need("wandb", "logging to Weights & Biases")
        self._folder = folder
        self._project = project
        self._mode = mode
        self._run: Any = None

    def start(self, run: str, config: dict[str, Any], first_step: int) -> None:
        """See `Tracker`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = self._wandb.init(
            project=self._project,
            id=run,
            name=self._folder.resolve().name,
            dir=str(self._folder),
            config=config,
            mode=self._mode,
            resume="allow",
            settings=self._wandb.Settings(console="off", silent=True),
        )

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """See `Tracker`."""
        self._run.log(scalars, step=step)

    def close(self) -> None:
        """See `Tracker`."""
        self._run.finish()
