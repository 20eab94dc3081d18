"""A finished shard as a line of the journal."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from namm_xmodal.errors import EvolutionError
from namm_xmodal.evolution.arrays import Array
from namm_xmodal.evolution.objective import Shard, ShardResult


@dataclass(frozen=True)
class ShardLine:
    """One finished shard.

    Attributes:
        generation: 0 the first of this run.
        index: Its place among the generation's shards.
        shard: The work.
        members: Digest of the population that was scored.
        result: Its result.
        worker: Who did it.
    """

    generation: int
    index: int
    shard: Shard
    members: str
    result: ShardResult
    worker: str

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; numbers keep all their bits, what is not finite becomes null."""
        result = self.result
        return {
            "kind": "shard",
            "generation": self.generation,
            "index": self.index,
            "task": self.shard.task,
            "model": self.shard.model,
            "samples": self.shard.samples,
            "members": self.members,
            "scores": _numbers(result.scores),
            "base": _numbers(result.base),
            "kept": _numbers(result.kept),
            "seconds": result.seconds,
            "worker": self.worker,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "ShardLine":
        """Reads `to_json`.

        Raises:
            EvolutionError: If a field is missing or of another type.
        """
        try:
            shard = Shard(values["task"], tuple(values["samples"]), values["model"])
            # A None becomes NaN in the conversion to float64.
            arrays = {name: np.array(values[name], dtype=np.float64) for name in ("scores", "base", "kept")}
            result = ShardResult(**arrays, seconds=values["seconds"]).check(len(arrays["scores"]), shard)
            return cls(values["generation"], values["index"], shard, values["members"], result, values["worker"])
        except (KeyError, TypeError, ValueError) as error:
            raise EvolutionError(f"not the line of a shard ({error})") from None


def _numbers(array: Array) -> Any:
    if array.ndim > 1:
        return [_numbers(row) for row in array]
    return [float(value) if np.isfinite(value) else None for value in array]
