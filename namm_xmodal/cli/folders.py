"""Where each command writes: the names in its folder, and the inputs that it must not overwrite."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from namm_xmodal.config import EvaluationConfig
from namm_xmodal.config.evolve import EvolveConfig
from namm_xmodal.config.head_shares import HeadSharesConfig
from namm_xmodal.disk.owned_folder import OwnedFolder
from namm_xmodal.errors import FolderError

_RESULTS = (
    *("results.jsonl", "config.yaml", "summary.json", "table.txt"),
    *("exhibits.json", "predictions.json", "report"),
)
_POLICY = ("config.json", "model.safetensors")


def eval_folder(config: EvaluationConfig, remedy: str = "") -> OwnedFolder:
    """Of `namm-xmodal eval`, and of `rollout` and `video-qa`, which run one modality of a file.

    Args:
        config: The evaluation.
        remedy: What a command without --output advises.
    """
    inputs: list[Path] = []
    for section in config.sections.values():
        inputs += saved_in(section.model, *_paths(section.policies))
        if data := getattr(section, "data", ""):
            inputs.append(Path(data))
    return OwnedFolder(config.folder, "eval", _RESULTS, inputs, remedy=remedy)


def run_folder(config: EvolveConfig, command: str) -> OwnedFolder:
    """Of `namm-xmodal evolve`, `warm-start` or `train`."""
    own = {
        "evolve": ("journal.jsonl", "mean.npy", "start.npy", "validation.json"),
        "warm-start": ("gradient.jsonl", "gradient.npz"),
        "train": ("gradient.jsonl", "gradient.npz", "traces", "ranking.json", "evolution"),
    }
    writes = ("config.yaml", "held_out.yaml", "statistics.json", "policy", "plot.png", "plot.svg", *own[command])
    read = [name for name in (config.after, config.statistics.path) if name]
    sources = [source.model for source in config.agree_sources().values()]
    start = [config.start] if isinstance(config.start, str) else []
    inputs = [*saved_in(*config.models, *sources, *start), *map(Path, read)]
    return OwnedFolder(Path(config.run), command, writes, inputs, "--run")


def policy_folder(output: Path, policy: str, model: str) -> OwnedFolder:
    """Of `namm-xmodal calibrate`."""
    return OwnedFolder(output, "calibrate", _POLICY, saved_in(policy, model))


def division_folder(config: HeadSharesConfig) -> OwnedFolder:
    """Of `namm-xmodal head-shares`."""
    inputs = saved_in(*(source.model for source in config.sources().values()))
    return OwnedFolder(
        Path(config.run),
        "head-shares",
        ("division.json", "retrieval.json", "config.yaml", "head_shares.json", "plot.png"),
        inputs,
        "--run",
    )


def training_folder(output: Path) -> OwnedFolder:
    """Of `namm-xmodal prepare video`."""
    return OwnedFolder(
        output, "prepare video", ("journal.jsonl", "snapshot.safetensors", "features.safetensors", "model")
    )


def families_folder(output: Path, families: Iterable[str], policies: Path | None) -> OwnedFolder:
    """Of `namm-xmodal prepare rl`.

    Raises:
        FolderError: If it lies in the folder of the policies, all files of which are read.
    """
    if policies is not None and output.is_relative_to(policies.resolve()):
        raise FolderError(
            f"--output {output}: is inside --policies {policies}, whose files are all read as policies; choose a "
            "folder outside it"
        )
    return OwnedFolder(output, "prepare rl", ("journal.jsonl", "ars", *families))


def harness_folder(output: str, models: Iterable[str]) -> OwnedFolder:
    """Of `namm-xmodal lm-eval`; names of its files bear the date, so that none is replaced.

    Args:
        output: `--output_path`: a folder, or a name that ends in `.json`, beside which results are written.
        models: What `--model_args` names.
    """
    place = Path(output)
    return OwnedFolder(
        place.parent if place.suffix == ".json" else place, "lm-eval", (), saved_in(*models), "--output_path"
    )


def saved_in(*names: str) -> list[Path]:
    """The names that are folders of saved models or policies, without table names and hub ids."""
    folders = [Path(name).expanduser() for name in names]
    saved = ("config.json", "parts.json", "seed-*/config.json")
    return [folder for folder in folders if folder.is_dir() and any(any(folder.glob(each)) for each in saved)]


def _paths(policies: Mapping[str, Any]) -> Iterable[str]:
    """Every `path` of a mapping of policies, wrapped ones included."""
    for key, value in policies.items():
        if key == "path" and isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            yield from _paths(value)
