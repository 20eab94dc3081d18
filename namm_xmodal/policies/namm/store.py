"""Saves and loads a NAMM: `config.json` and `model.safetensors`, about 20 kB, nothing executable."""

import math
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import save as save_tensors

from namm_xmodal.disk.trouble import disk_trouble
from namm_xmodal.errors import CheckpointError, ConfigError
from namm_xmodal.policies.namm.bam import BamScorer
from namm_xmodal.policies.namm.mlp import MlpScorer
from namm_xmodal.policies.namm.policy import Namm
from namm_xmodal.policies.namm.saved_features import FORMAT_VERSIONS, features_from, features_to
from namm_xmodal.policies.namm.saved_pair import CONFIG as _CONFIG
from namm_xmodal.policies.namm.saved_pair import LARGEST, weights_of, write_pair
from namm_xmodal.policies.namm.saved_pair import WEIGHTS as _WEIGHTS
from namm_xmodal.policies.namm.schedule import ThresholdSchedule
from namm_xmodal.policies.namm.statistics import FeatureStatistics
from namm_xmodal.trust.files import MIB, refusing
from namm_xmodal.trust.json_text import read_json
from namm_xmodal.trust.safetensors_file import read_safetensors

FORMAT = "namm-xmodal-policy"
SCORERS: dict[str, Any] = {BamScorer.name: BamScorer, MlpScorer.name: MlpScorer}
SHIPPED = Path(__file__).parent / "shipped"


def shipped_policies() -> list[str]:
    """Names of the policies that ship with the package."""
    return sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()) if SHIPPED.is_dir() else []


def save(policy: Namm, folder: str | Path) -> None:
    """Writes a policy atomically: readers find the old one or the new one, even after a crash.

    Raises:
        CheckpointError: If the folder cannot be written.
    """
    folder = Path(folder)
    config = {
        "format": FORMAT,
        **features_to(policy.features, plain=not policy.schedule.beyond),
        "scorer": {"name": policy.scorer.name, **policy.scorer.config()},
        "sharing": policy.sharing,
        "threshold": None if policy.threshold == -math.inf else policy.threshold,  # JSON has no infinity
        "max_tokens": policy.max_tokens,
        "schedule": _of_schedule(policy.schedule),
        "statistics": {"source": policy.statistics.source, "count": policy.statistics.count},
        "metadata": policy.metadata,
    }
    tensors = {
        "parameters": policy.parameters.contiguous().cpu(),
        "feature_mean": policy.statistics.mean.contiguous().cpu(),
        "feature_std": policy.statistics.std.contiguous().cpu(),
    }
    try:
        write_pair(folder, config, save_tensors(tensors))
    except OSError as error:
        raise CheckpointError(
            f"{folder}: cannot save the policy; {disk_trouble(error, 'save it again, or choose another folder')}"
        ) from None


def load(name_or_path: str | Path, *, revision: str | None = None) -> Namm:
    """Reads a policy from a folder, the package or the hub; see `Namm.from_pretrained`."""
    folder = _find(name_or_path, revision)
    try:
        return _load(folder)
    except CheckpointError:  # perhaps another process was saving; a damaged policy says so once more
        return _load(folder)


def _load(folder: Path) -> Namm:
    config = _read_config(folder)
    weights, own = weights_of(folder, config)
    tensors = read_safetensors(weights, error=CheckpointError, expected="the weights of a saved NAMM", most=LARGEST)
    missing = sorted({"parameters", "feature_mean", "feature_std"} - set(tensors))
    if missing:
        raise CheckpointError(f"{weights}: lacks {', '.join(missing)}; save the policy again")
    with refusing(folder / _CONFIG, error=CheckpointError, expected="the configuration of a saved NAMM"):
        features = features_from(config, folder / _CONFIG)
        scorer = _scorer(config["scorer"], folder)
        origin, metadata = dict(config.get("statistics", {})), dict(config.get("metadata", {}))
        policy = Namm(
            parameters=tensors["parameters"].float(),
            statistics=FeatureStatistics(
                tensors["feature_mean"].float(),
                tensors["feature_std"].float(),
                source=str(origin.get("source", "unspecified")),
                count=int(origin.get("count", 0)),
            ),
            features=features,
            scorer=scorer,
            sharing=config.get("sharing", "model"),
            threshold=-math.inf if config.get("threshold", 0.0) is None else float(config.get("threshold", 0.0)),
            max_tokens=config.get("max_tokens"),
            schedule=_schedule(config.get("schedule", {}), folder),
            metadata=metadata,
        )
    if not own:
        raise CheckpointError(
            f"{weights}: does not belong to {_CONFIG}; copy both files together, or save the policy again"
        )
    return policy


def push(policy: Namm, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
    """Uploads a policy; see `Namm.push_to_hub`."""
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    api.create_repo(repo_id, private=private, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        save(policy, folder)
        commit = api.upload_folder(folder_path=folder, repo_id=repo_id, commit_message="Upload NAMM policy")
    return str(commit.commit_url)


def _find(name_or_path: str | Path, revision: str | None) -> Path:
    """The folder that holds a policy."""
    path = Path(name_or_path)
    if (path / _CONFIG).exists():
        return path
    if path.exists():
        raise CheckpointError(f"{path}: has no {_CONFIG}; expected a folder written by save_pretrained")
    name = str(name_or_path)
    shipped = shipped_policies()
    if name in shipped:
        return SHIPPED / name
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        known = f"shipped with the package: {', '.join(shipped)}" if shipped else "none is shipped with this version"
        raise CheckpointError(f"{name}: no such folder, and not a hub id (owner/name); {known}")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=[_CONFIG, _WEIGHTS]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{name}: not found on the hub or no network ({reason}); pass a local folder") from None


def _read_config(folder: Path) -> dict[str, Any]:
    config = read_json(folder / _CONFIG, error=CheckpointError, expected="a saved NAMM", most=MIB)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{folder / _CONFIG}: not a saved NAMM (format is not {FORMAT!r})")
    version = config.get("format_version")
    if type(version) is not int or version not in FORMAT_VERSIONS:
        raise CheckpointError(
            f"{folder / _CONFIG}: format version {version}, this package reads versions "
            f"{' and '.join(map(str, FORMAT_VERSIONS))}; install the namm-xmodal release that wrote it"
        )
    if not isinstance(config.get("scorer"), dict) or "name" not in config["scorer"]:
        raise CheckpointError(f"{folder / _CONFIG}: lacks scorer.name")
    return config


def _scorer(entry: dict[str, Any], folder: Path) -> Any:
    """Makes a scorer from its saved name and hyper-parameters."""
    settings = dict(entry)
    name = settings.pop("name")
    if name not in SCORERS:
        raise CheckpointError(f"{folder / _CONFIG}: unknown scorer {name!r}; known: {', '.join(sorted(SCORERS))}")
    usual = SCORERS[name]().config()
    odd = [key for key, value in settings.items() if key not in usual or type(value) is not type(usual[key])]
    if odd:
        raise CheckpointError(
            f"{folder / _CONFIG}: scorer {name!r} does not take these settings ({odd[0]}={settings[odd[0]]!r}); "
            f"expected values like {usual}"
        )
    try:
        return SCORERS[name](**settings)
    except ConfigError as error:
        raise CheckpointError(f"{folder / _CONFIG}: scorer {name!r}: {error}") from None


def _of_schedule(schedule: ThresholdSchedule) -> dict[str, list[Any]]:
    beyond = {"beyond": list(schedule.beyond)} if schedule.beyond else {}
    return {"seen": list(schedule.seen), "offset": list(schedule.offset), **beyond}


def _schedule(given: Any, folder: Path) -> ThresholdSchedule:
    try:
        return ThresholdSchedule(*(tuple(given.get(key, ())) for key in ("seen", "offset", "beyond")))
    except (AttributeError, TypeError, ConfigError) as error:
        raise CheckpointError(f"{folder / _CONFIG}: schedule cannot be read ({error}); save the policy again") from None
