"""Records the traces of all sources of a run, one shard at a time; existing shards are kept."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from namm_xmodal.config.save import changes, to_mapping
from namm_xmodal.config.train import TraceSource
from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.disk.whole_file import replace_text
from namm_xmodal.errors import DataError
from namm_xmodal.memory.pruned import pruned
from namm_xmodal.policies.namm import Namm
from namm_xmodal.traces.recorder import TraceRecorder
from namm_xmodal.traces.shards import Traces, of_snapshots, read_shard, write_shard
from namm_xmodal.trust.files import MIB
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.types import OnProgress
from namm_xmodal.unlabelled.opening import open_source
from namm_xmodal.unlabelled.source import UnlabelledInput

ABOUT = "about.json"
"""Written last: what the shards beside it are of."""


def collect(sources: Mapping[str, TraceSource], policy: Namm, folder: Path, on_progress: OnProgress) -> None:
    """Writes what is missing below `folder`, a folder for each source.

    Args:
        sources: By name.
        policy: The one that will be trained: its features and statistics.
        folder: Where to.
        on_progress: Called before each input with what is done, what is to do, and the source.

    Raises:
        NammError: If a model cannot be loaded, an input reaches no update, or the disk refuses.
    """
    everything, before = sum(source.count for source in sources.values()), 0
    for name, source in sources.items():
        place = folder / name.replace("@", "-")
        if not _is_of(place, source, policy):
            for number, each in enumerate(open_source(source)):
                on_progress(before + number, everything, f"traces of {name}")
                path = place / f"{each.name}.safetensors"
                if not path.exists():
                    try:
                        write_shard(path, _traces(each, source, policy))
                    except DataError as error:
                        raise DataError(f"traces.{name}: {error}") from None
            _write_about(place, _about(source, policy))
        before += source.count


def check_recorded(sources: Mapping[str, TraceSource], policy: Namm, folder: Path) -> None:
    """Refuses traces of another run that are not those of these sources, with what to change here.

    Raises:
        DataError: With the first setting that differs, or the folder that is missing.
    """
    for name, source in sources.items():
        place = folder / name.replace("@", "-")
        try:
            complete = _is_of(place, source, policy)
        except DataError as error:
            own = str(error).rpartition("; choose another")[0]
            raise DataError(f"recorded: {own}; make them equal, or leave `recorded` out") from None
        if not complete:
            raise DataError(
                f"recorded: {str(folder)!r}: has no finished traces of {name}; expected the folder `traces` of another run"
            )


def read_all(sources: Mapping[str, TraceSource], policy: Namm, folder: Path) -> dict[str, list[Traces]]:
    """All traces of each source, in the order of their files.

    Raises:
        DataError: If they are of another source or other features, a shard is damaged, or there is none.
    """
    found = {}
    for name, source in sources.items():
        place = folder / name.replace("@", "-")
        if not _is_of(place, source, policy):
            raise DataError(f"traces.{name}: {place} is not complete; run the command again")
        paths = sorted(place.glob("*.safetensors"))
        found[name] = [traces for path in paths for traces in read_shard(path, policy.features.num_constants)]
        if not found[name]:
            raise DataError(f"traces.{name}: no shards in {folder}; run the command again")
    return found


def updates_of(cached: int, every: int, count: int) -> list[int]:
    """Tokens seen at the updates to note: the last one of so many tokens, and others spread evenly before it."""
    last = cached // every
    return sorted({max(1, round(last * (number + 1) / count)) * every for number in range(count)} if last else set())


def _traces(each: UnlabelledInput, source: TraceSource, policy: Namm) -> list[Traces]:
    length = each.length
    cached = min(each.cached, length - 1)  # later attention needs a later query
    updates = updates_of(cached, source.update_every, source.updates)
    if not updates:
        raise DataError(
            f"{each.name}: {cached} tokens: the cache is never updated (update_every={source.update_every}); use more "
            "tokens or a smaller update_every"
        )
    recorder = TraceRecorder(policy.features, policy.statistics, updates, each.count_from)
    with torch.no_grad(), pruned(each.model, recorder, update_every=source.update_every) as memory:
        memory.adapter.forward(each.model, each.inputs, memory.cache())
    if not recorder.snapshots:
        raise DataError(
            f"{each.name}: every layer of the model has a window of fewer than {length} tokens; use shorter inputs"
        )
    generator = torch.Generator().manual_seed(source.seed + sum(map(ord, each.name)))
    return of_snapshots(recorder.snapshots, source.heads, generator)


def _about(source: TraceSource, policy: Namm) -> dict[str, Any]:
    statistics = policy.statistics
    return {
        "source": to_mapping(source),
        "features": policy.features.entries(),
        "statistics": [statistics.mean.tolist(), statistics.std.tolist()],
    }


def _is_of(place: Path, source: TraceSource, policy: Namm) -> bool:
    """Whether a folder holds all traces of a source.

    Raises:
        DataError: If it holds those of another source, or of other features.
    """
    path, wanted = place / ABOUT, _about(source, policy)
    if not path.exists():
        return False
    found = read_json(path, error=DataError, expected="what traces are of", most=MIB)
    for key, value in wanted.items():
        before = found.get(key) if isinstance(found, dict) else None
        if before != value:
            differing = ", ".join(f"{path} {old!r}, now {new!r}" for path, old, new in changes(before, value, key))
            shown = "other statistics" if key == "statistics" else differing
            raise DataError(
                f"{place}: holds traces of another {key} ({shown}); choose another --run, or remove the folder"
            )
    return True


def _write_about(place: Path, about: dict[str, Any]) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
        replace_text(place / ABOUT, json.dumps(about, indent=1) + "\n")
    except OSError as error:
        raise DataError(f"{place}: {disk_trouble(error)}; earlier shards are kept") from None
