"""Policies of stable-baselines3, read without it: names, tensors and plain arrays; nothing of an archive is run.

A folder may hold archives in rl-zoo's layout (`ppo/Hopper-v3_1/Hopper-v3.zip` with `Hopper-v3/vecnormalize.pkl` beside
it), or `.npz` files of the plain format of `policy.py`, whose names begin with the environment's (`hopper-ppo.npz`).
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from namm_xmodal.arrays import FloatArray
from namm_xmodal.envs.behaviour.policy import Activation, BehaviourPolicy, Normalisation, read_npz
from namm_xmodal.errors import DataError
from namm_xmodal.trust.archive import open_zip, read_member
from namm_xmodal.trust.files import MIB, read_bytes, refusing
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.trust.pickled import array_of, attributes_of, read_pickle
from namm_xmodal.trust.torch_file import read_tensors

_HEADS = (  # layers of the network, the last layer, whether tanh follows: one row per kind of policy
    ("mlp_extractor.policy_net", "action_net", False),  # A2C, PPO, TRPO
    ("actor.latent_pi", "actor.mu", True),  # SAC, TQC
    ("actor.mu", "", True),  # DDPG, TD3
    ("action_net", "", False),  # ARS; whether it squashes stands in its data
)
_LIBRARIES = ("stable_baselines3.", "sb3_contrib.", "gym.", "gymnasium.", "numpy.")
_PYTHON = ("collections.OrderedDict", "_codecs.encode", "__builtin__.bytes")
"""Names that statistics may mention."""


def read_policies(folder: Path, environment: str) -> list[BehaviourPolicy]:
    """All policies of an environment in a folder.

    Args:
        folder: Searched with all folders inside.
        environment: Such as hopper; any version.

    Raises:
        DataError: If there is none, or one cannot be read.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with policies of {environment}")
    plain = [read_npz(path) for path in sorted(folder.rglob("*.npz")) if _is_of(path, environment)]
    archives = [read_archive(path) for path in sorted(folder.rglob("*.zip")) if _is_of(path, environment)]
    if not plain + archives:
        raise DataError(
            f"{folder}: contains no policies of {environment}; expected archives such as ppo/Hopper-v3_1/Hopper-v3.zip, or "
            f"files such as {environment}-ppo.npz"
        )
    return plain + archives


def read_archive(path: Path) -> BehaviourPolicy:
    """Reads one archive of stable-baselines3.

    Raises:
        DataError: If it is damaged, or its policy is of a kind that is not known here.
    """
    with open_zip(path, error=DataError, expected="an archive of stable-baselines3") as archive:
        data = parse_json(read_member(archive, "data", 32 * MIB))
        weights_file = read_member(archive, "policy.pth", 64 * MIB)
    if not isinstance(data, dict):
        raise DataError(f"{path}: its data are not a JSON object; expected an archive of stable-baselines3")
    tensors = read_tensors(
        weights_file, error=DataError, expected="tensors and nothing more", name=f"{path}: policy.pth", most=64 * MIB
    )
    with refusing(path, error=DataError, expected="an archive of stable-baselines3"):
        return _policy(path, data, {name: value.double().numpy() for name, value in tensors.items()})


def _policy(path: Path, data: dict[str, Any], state: dict[str, FloatArray]) -> BehaviourPolicy:
    weights, biases, squash = _layers(state, path)
    kwargs = data.get("policy_kwargs")
    settings = kwargs if isinstance(kwargs, dict) else {}
    squash = (
        bool(settings.get("squash_output", "LinearPolicy" not in str(data.get("policy_class"))))
        if squash is None
        else squash
    )
    off_policy = any(name.startswith("actor.") for name in state) or "action_net.0.weight" in state
    named = str(settings.get("activation_fn", "ReLU" if off_policy else "Tanh")).lower()
    activation: Activation = "relu" if "relu" in named else "tanh"
    algorithm = path.parent.parent.name if path.parent.name.startswith(path.stem) else path.parent.name
    return BehaviourPolicy(
        f"{path.stem.split('-')[0].lower()}-{algorithm}", weights, biases, activation, squash, _normalisation(path)
    )


def _layers(
    state: dict[str, FloatArray], path: Path
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...], bool | None]:
    """Weights and biases in order, and whether tanh follows (None: see the archive's data)."""
    for body, head, squash in _HEADS:
        layers = sorted(
            (int(name.split(".")[-2]), name)
            for name in state
            if name.startswith(f"{body}.") and name.endswith(".weight") and name.split(".")[-2].isdecimal()
        )
        # With state-dependent exploration the last layer is the first of two in a row.
        last = f"{head}.0.weight" if layers and f"{head}.weight" not in state else f"{head}.weight"
        names = [name for _, name in layers] + ([last] if head else [])
        if not names or not all(name in state for name in names) or (body == "action_net" and not layers):
            continue
        weights = tuple(state[name] for name in names)
        biases = tuple(state.get(name.removesuffix("weight") + "bias", np.zeros(len(state[name]))) for name in names)
        return weights, biases, None if body == "action_net" else squash
    raise DataError(f"{path}: unsupported kind of policy; expected an actor of fully connected layers")


def _normalisation(path: Path) -> Normalisation | None:
    """Statistics of the observations beside an archive, if it was trained with them."""
    inner, flat = path.with_suffix(""), path.parent
    for place in (inner / "vecnormalize.pkl", flat / "vecnormalize.pkl", flat / "vec_normalize.pkl"):
        if place.exists():
            break
    else:
        return None
    content = read_bytes(place, error=DataError, expected="a pickled VecNormalize", most=16 * MIB)
    with refusing(place, error=DataError, expected="a pickled VecNormalize"):
        values = attributes_of(read_pickle(io.BytesIO(content), _LIBRARIES + _PYTHON))
        if not array_of(values["norm_obs"]).item():
            return None
        moments = attributes_of(values["obs_rms"])
        return Normalisation(
            array_of(moments["mean"]),
            array_of(moments["var"]),
            array_of(values["epsilon"]).item(),
            array_of(values["clip_obs"]).item(),
        )


def _is_of(path: Path, environment: str) -> bool:
    name = path.stem.lower()
    return name.startswith(f"{environment}-") or f"-{environment}-" in name
