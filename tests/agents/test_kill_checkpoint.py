"""A Decision Transformer saved over another one and killed before any file operation: there is always a whole one."""

import itertools

import torch
from killing import in_fork
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from namm_xmodal.agents.checkpoint import load_checkpoint, save_checkpoint
from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.disk.owned_folder import remove_unfinished


def model(seed):
    torch.manual_seed(seed)
    sizes = {
        "state_dim": 2,
        "act_dim": 1,
        "hidden_size": 4,
        "n_layer": 1,
        "n_head": 1,
        "max_ep_len": 8,
        "n_positions": 32,
    }
    return DecisionTransformerModel(DecisionTransformerConfig(**sizes)).eval()


def test_at_every_file_operation(tmp_path):
    place = tmp_path / "family" / "seed-0"
    metadata = {
        target: CheckpointMetadata(environment="Hopper-v5", target=target, scale=1.0, window=2, memory="window")
        for target in (1.0, 2.0)
    }
    models = {target: model(int(target)) for target in metadata}
    seen = []
    for number in itertools.count(1):
        save_checkpoint(models[1.0], metadata[1.0], place)
        if in_fork(lambda: save_checkpoint(models[2.0], metadata[2.0], place), kill_at=number):
            break
        remove_unfinished(tmp_path)
        assert [path.name for path in place.parent.iterdir()] == ["seed-0"]
        found = load_checkpoint("a", str(place))
        weights = models[found.metadata.target].state_dict()["embed_state.weight"]
        assert torch.equal(found.agent_model.model.state_dict()["embed_state.weight"].float(), weights.half().float())
        seen.append(found.metadata.target)
    assert sorted(seen) == seen
    assert set(seen) == {1.0, 2.0}
