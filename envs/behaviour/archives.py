"""Policies of stable-baselines3, read without it: weights as tensors only, statistics by an unpickler that runs nothing.

A folder may hold archives in rl-zoo's layout (`ppo/Hopper-v3_1/Hopper-v3.zip` with `Hopper-v3/vecnormalize.pkl` beside
it), or `.npz` files of the plain format of `policy.py`, whose names begin with the environment's (`hopper-ppo.npz`).
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from namm_xmodal.envs.behaviour.inert_pickle import load_inert
from namm_xmodal.envs.behaviour.policy import Activation, BehaviourPolicy, Normalisation, read_npz
from namm_xmodal.errors import DataError

Numbers = NDArray[np.float64]
_HEADS = (  # layers of the network, the last layer, whether tanh follows: one row per kind of policy
    ("mlp_extractor.policy_net", "action_net", False),  # A2C, PPO, TRPO
    ("actor.latent_pi", "actor.mu", True),  # SAC, TQC
    ("actor.mu", "", True),  # DDPG, TD3
    ("action_net", "", False),  # ARS; whether it squashes stands in its data
)


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
            f"{folder}: no policies of {environment} in it; expected archives such as ppo/Hopper-v3_1/Hopper-v3.zip, or "
            f"files such as {environment}-ppo.npz"
        )
    return plain + archives


def read_archive(path: Path) -> BehaviourPolicy:
    """Reads one archive of stable-baselines3.

    Raises:
        DataError: If it is damaged, or its policy is of a kind that is not known here.
    """
    import torch

    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data"))
            state = torch.load(io.BytesIO(archive.read("policy.pth")), map_location="cpu", weights_only=True)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, RuntimeError) as error:
        raise DataError(f"{path}: no archive of stable-baselines3 ({str(error).splitlines()[0]})") from None
    except Exception as error:  # unpickling raises whatever it likes
        raise DataError(f"{path}: policy.pth holds more than tensors ({type(error).__name__}); not loaded") from None
    weights, biases, squash = _layers({name: value.double().numpy() for name, value in state.items()}, path)
    settings = data.get("policy_kwargs") or {}
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


def _layers(state: dict[str, Numbers], path: Path) -> tuple[tuple[Numbers, ...], tuple[Numbers, ...], bool | None]:
    """Weights and biases in order, and whether tanh follows (None: see the archive's data)."""
    for body, head, squash in _HEADS:
        layers = sorted(
            (int(name.split(".")[-2]), name)
            for name in state
            if name.startswith(f"{body}.") and name.endswith(".weight") and name.split(".")[-2].isdigit()
        )
        # With state-dependent exploration the last layer is the first of two in a row.
        last = f"{head}.0.weight" if layers and f"{head}.weight" not in state else f"{head}.weight"
        names = [name for _, name in layers] + ([last] if head else [])
        if not names or not all(name in state for name in names) or (body == "action_net" and not layers):
            continue
        weights = tuple(state[name] for name in names)
        biases = tuple(state.get(name.removesuffix("weight") + "bias", np.zeros(len(state[name]))) for name in names)
        return weights, biases, None if body == "action_net" else squash
    raise DataError(f"{path}: a policy of a kind that is not known here; expected an actor of fully connected layers")


def _normalisation(path: Path) -> Normalisation | None:
    """Statistics of the observations beside an archive, if it was trained with them."""
    inner, flat = path.with_suffix(""), path.parent
    for place in (inner / "vecnormalize.pkl", flat / "vecnormalize.pkl", flat / "vec_normalize.pkl"):
        if place.is_file():
            break
    else:
        return None
    values: Any = load_inert(place)
    try:
        if not values.norm_obs:
            return None
        return Normalisation(
            np.asarray(values.obs_rms.mean, dtype=np.float64),
            np.asarray(values.obs_rms.var, dtype=np.float64),
            float(values.epsilon),
            float(values.clip_obs),
        )
    except (AttributeError, TypeError, ValueError):
        raise DataError(f"{place}: no statistics of observations in it; expected a pickled VecNormalize") from None


def _is_of(path: Path, environment: str) -> bool:
    name = path.stem.lower()
    return name.startswith(f"{environment}-") or f"-{environment}-" in name
