"""Checkpoints by name: shipped ones, folders, the published layout; nothing but tensors is ever loaded."""

import json

import numpy as np
import pytest
import torch
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from namm_xmodal import Namm, StreamingLLM, pruned
from namm_xmodal.adapters import decision_transformer as adapter
from namm_xmodal.agents.checkpoint import (
    SHIPPED,
    find_checkpoints,
    load_checkpoint,
    read_statistics,
    save_checkpoint,
    shipped_families,
)
from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.envs.published import published_statistics
from namm_xmodal.errors import CheckpointError, ConfigError


def small(**more):
    config = DecisionTransformerConfig(
        state_dim=11, act_dim=3, hidden_size=32, n_layer=2, n_head=1, max_ep_len=100, n_positions=64, **more
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DecisionTransformerModel(config).eval()


def inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return {
        "states": torch.randn(2, 5, 11, generator=generator, dtype=dtype),
        "actions": torch.randn(2, 5, 3, generator=generator, dtype=dtype),
        "returns_to_go": torch.rand(2, 5, 1, generator=generator, dtype=dtype),
        "timesteps": torch.arange(5).expand(2, -1),
    }


def write_published(folder, model, poison=None):
    """The layout of the hub: config.json and a pickled pytorch_model.bin that still has the old mask buffers."""
    folder.mkdir(parents=True)
    model.config.save_pretrained(folder)
    state = dict(model.state_dict())
    for layer in range(model.config.n_layer):
        state[f"encoder.h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64, dtype=torch.uint8).tril()
        state[f"encoder.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    if poison is not None:
        state["extra"] = poison
    torch.save(state, folder / "pytorch_model.bin")


def test_the_published_layout_loads_with_its_statistics(tmp_path):
    model = small()
    folder = tmp_path / "decision-transformer-gym-hopper-medium"
    write_published(folder, model)
    ((label, place),) = find_checkpoints(str(folder)).items()
    loaded = load_checkpoint(label, place, dtype=torch.float32)
    assert loaded.label == "decision-transformer-gym-hopper-medium"
    assert (loaded.metadata.environment, loaded.metadata.target, loaded.metadata.scale) == ("Hopper-v4", 3600.0, 1000.0)
    mean, std = published_statistics("hopper-medium")
    assert np.array_equal(loaded.agent_model.statistics.mean, mean) and np.array_equal(
        loaded.agent_model.statistics.std, std
    )
    with torch.no_grad():
        assert torch.equal(loaded.agent_model.model(**inputs()).action_preds, model(**inputs()).action_preds)


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_published_file_that_holds_code_is_not_loaded(tmp_path, capsys):
    folder = tmp_path / "decision-transformer-gym-hopper-expert"
    write_published(folder, small(), Evil())
    with pytest.raises(CheckpointError, match=r"it refers to __builtin__\.print"):
        load_checkpoint("x", str(folder))
    assert "this must not run" not in capsys.readouterr().out


def metadata(**more):
    return CheckpointMetadata(
        environment="Hopper-v5",
        target=3000.0,
        scale=1000.0,
        window=20,
        memory="cache",
        state_mean=(0.5,) * 11,
        state_std=(2.0,) * 11,
        returns=(10.0, 3100.0),
        **more,
    )


def test_what_is_saved_is_loaded_again(tmp_path):
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    save_checkpoint(model, metadata(), tmp_path / "mine" / "seed-3")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert find_checkpoints(str(tmp_path / "mine"), [3]) == {"mine/seed-3": str(tmp_path / "mine" / "seed-3")}
    loaded = load_checkpoint("mine/seed-3", str(tmp_path / "mine" / "seed-3"))
    assert loaded.metadata == metadata()
    weights = loaded.agent_model.model.state_dict()
    assert all(torch.equal(weights[name], value.half().double()) for name, value in before.items())


def test_bad_checkpoints_are_one_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"no such folder, and not a hub id; shipped: .*tmaze"):
        find_checkpoints("hoper-long")
    with pytest.raises(CheckpointError, match=r"has no seed 7; set model_seeds to some of \[0, 1, 2\]"):
        find_checkpoints("tmaze", [7])
    with pytest.raises(CheckpointError, match=r"contains neither config.json nor seed-0"):
        find_checkpoints(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(CheckpointError, match="expected a decision_transformer"):
        load_checkpoint("x", str(tmp_path))
    lacking = tmp_path / "lacking"
    save_checkpoint(small(), metadata(), lacking)
    written = json.loads((lacking / "config.json").read_text())
    del written["namm_xmodal"]["target"]
    (lacking / "config.json").write_text(json.dumps(written))
    with pytest.raises(CheckpointError, match=r"other fields than expected \(target\)"):
        load_checkpoint("x", str(lacking))
    short = tmp_path / "statistics.json"
    short.write_text('{"mean": [1, 2], "std": [1, 2]}')
    save_checkpoint(small(), metadata(), tmp_path / "whole")
    with pytest.raises(ConfigError, match="statistics of length 2, but this model has states of 11 numbers"):
        load_checkpoint("x", str(tmp_path / "whole"), statistics=read_statistics(short))
    short.write_text("[]")
    with pytest.raises(ConfigError, match="expected state statistics"):
        read_statistics(short)


@pytest.mark.parametrize("family", shipped_families())
def test_shipped_decision_transformers_are_small_and_documented(family):
    card = json.loads((SHIPPED / family / "card.json").read_text())
    assert (SHIPPED / family / "README.md").exists()
    places = find_checkpoints(family)
    assert list(places) == [f"{family}/seed-{seed}" for seed in card["training"]["seeds"]]
    assert len(places) >= 3
    if "policies_from" in card:  # of others: licence and commit go with what was made of them
        assert "MIT" in card["policies_from"] and "cd35bde" in (SHIPPED / family / "README.md").read_text()
    for label, place in places.items():
        loaded = load_checkpoint(label, place)
        assert loaded.metadata.target == card["target"]
        assert len(card["models"][label.split("/")[1]]["trial"]["returns"]) >= 10
        assert sum(path.stat().st_size for path in (SHIPPED / label).iterdir()) < 2_000_000


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "policy", [None, StreamingLLM(budget=9, num_sinks=1), Namm.untrained("random", sigma=0.5)], ids=str
)
def test_the_short_way_through_a_decision_transformer_is_the_long_way(monkeypatch, batch, policy):
    """Turn by turn, with and without eviction, against the trunk of transformers over the same cache."""
    model = small().double()
    generator = torch.Generator().manual_seed(3)
    turns = [torch.randn(batch, 2 if t == 0 else 3, 32, generator=generator, dtype=torch.float64) for t in range(30)]
    taken = []
    whole = adapter.step_trunk
    monkeypatch.setattr(adapter, "step_trunk", lambda *given: taken.append(1) or whole(*given))

    def outputs():
        with torch.no_grad(), pruned(model, policy, update_every=16, protect_recent=3, attention="tiled") as memory:
            cache = memory.cache()
            found = [memory.adapter.forward(model, {"inputs_embeds": turn}, cache) for turn in turns]
            return torch.cat(found, 1), cache.layers[0].index

    short, kept = outputs()
    assert len(taken) == 30
    monkeypatch.setattr(adapter, "can_step", lambda *given: False)
    long, kept_too = outputs()
    assert len(taken) == 30
    assert torch.equal(kept, kept_too)
    assert (short - long).abs().max() < 1e-12
