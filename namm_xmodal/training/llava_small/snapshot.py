"""The state of a training run as one safetensors file: weights, optimiser moments and the step, replaced atomically."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from namm_xmodal.disk.whole_file import replacing
from namm_xmodal.errors import CheckpointError
from namm_xmodal.trust.safetensors_file import safetensors_shapes

_MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def save_snapshot(
    path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, place: dict[str, object], run: str
) -> None:
    """Writes everything a run needs to go on.

    Args:
        path: File to replace.
        modules: By name; all their parameters.
        optimiser: An AdamW over exactly these parameters.
        place: Where the run is, as JSON values.
        run: What it is: seed and recipe.
    """
    tensors: dict[str, Tensor] = {}
    for name, parameter in _parameters(modules):
        tensors[f"weight/{name}"] = parameter.detach().clone()
        for moment in _MOMENTS:
            if moment in optimiser.state.get(parameter, {}):
                tensors[f"{moment}/{name}"] = optimiser.state[parameter][moment].detach().clone()
    with replacing(path) as unfinished:
        save_file(tensors, unfinished, metadata={"place": json.dumps(place), "run": run})


def load_snapshot(
    path: Path, modules: dict[str, nn.Module], optimiser: torch.optim.Optimizer, run: str
) -> dict[str, object]:
    """Restores weights and moments in place; returns `place`.

    Raises:
        CheckpointError: If the file is damaged or of another run.
    """
    safetensors_shapes(path, error=CheckpointError, expected="a snapshot of this training run")
    try:
        with safe_open(path, "pt") as file:
            if file.metadata().get("run", run) != run:  # snapshots of earlier versions do not say
                raise CheckpointError(f"{path}: of a training with another seed or recipe; choose another --output")
            place: dict[str, object] = json.loads(file.metadata()["place"])
            held = set(file.keys())
            with torch.no_grad():
                for name, parameter in _parameters(modules):
                    parameter.copy_(file.get_tensor(f"weight/{name}"))
                    state = {kind: file.get_tensor(f"{kind}/{name}") for kind in _MOMENTS if f"{kind}/{name}" in held}
                    if state:
                        optimiser.state[parameter] = state
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: no snapshot of this training run ({error}); delete it to start afresh"
        ) from None
    return place


def _parameters(modules: dict[str, nn.Module]) -> list[tuple[str, nn.Parameter]]:
    return [(f"{part}.{name}", p) for part, module in modules.items() for name, p in module.named_parameters()]
