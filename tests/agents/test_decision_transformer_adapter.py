"""The Decision Transformer in the engine: contract, equality with transformers' own recompute, and with the oracle."""

import pytest
import torch
from transformers import DecisionTransformerConfig, DecisionTransformerModel

from namm_xmodal import KeyDiff, Namm, RandomEviction, StreamingLLM, pruned
from namm_xmodal.adapters.check import check_adapter
from namm_xmodal.adapters.decision_transformer import DecisionTransformerAdapter, embed_step
from namm_xmodal.adapters.decision_transformer_embedding import StepEmbedding
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of

STATE, ACTION = 11, 3


def model(dtype=torch.float64, max_ep_len=50):
    config = DecisionTransformerConfig(
        state_dim=STATE, act_dim=ACTION, hidden_size=32, n_layer=3, n_head=2, max_ep_len=max_ep_len, n_positions=64
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = DecisionTransformerModel(config).to(dtype).eval()
        for name, weight in made.named_parameters():
            if "attn" in name and weight.ndim == 2:
                weight.data *= 12  # as initialised, attention is flat and nothing that is evicted would be missed
    return made


def trajectories(batch=2, steps=40, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return {
        "states": torch.randn(batch, steps, STATE, generator=generator, dtype=dtype),
        "actions": torch.randn(batch, steps, ACTION, generator=generator, dtype=dtype).clamp(-1, 1),
        "returns_to_go": torch.rand(batch, steps, 1, generator=generator, dtype=dtype) * 3,
        "timesteps": torch.arange(steps).expand(batch, -1),
    }


def stepwise(net, memory, data, cache=None):
    """(B, T, act_dim) actions of turns of the environment."""
    cache, actions = cache or memory.cache(), []
    for t in range(data["states"].shape[1]):
        previous = data["actions"][:, t - 1] if t else None
        turn = embed_step(net, previous, data["returns_to_go"][:, t], data["states"][:, t], data["timesteps"][:, t])
        hidden = memory.adapter.forward(net, {"inputs_embeds": turn}, cache)
        actions.append(net.predict_action(hidden[:, -1]))
    return torch.stack(actions, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_decision_transformer_adapter_holds(dtype):
    check_adapter(DecisionTransformerAdapter(), model(dtype), trajectories(dtype=dtype))


def test_it_is_found_and_others_are_not_taken_for_it():
    assert find_adapter(model()).name == "decision_transformer"
    assert DecisionTransformerAdapter().missing(torch.nn.Linear(1, 1)) is not None


def test_stepping_equals_the_recompute_of_transformers():
    net, data = model(), trajectories()
    with torch.no_grad():
        expected = net(**data).action_preds
        with pruned(net, None) as memory:
            found = stepwise(net, memory, data)
    assert (found - expected).abs().max() < 1e-12


def test_steps_beyond_the_last_known_timestep_count_as_the_last():
    net, data = model(max_ep_len=20), trajectories()
    clipped = {**data, "timesteps": data["timesteps"].clamp(max=19)}
    with torch.no_grad():
        expected = net(**clipped).action_preds
        with pruned(net, None) as memory:
            found = stepwise(net, memory, data)
        assert (found - expected).abs().max() < 1e-12
        beyond = embed_step(net, None, data["returns_to_go"][:, 0], data["states"][:, 0], torch.tensor([35, 35]))
        last = embed_step(net, None, data["returns_to_go"][:, 0], data["states"][:, 0], torch.tensor([19, 19]))
        assert torch.equal(beyond, last)


POLICIES = [
    StreamingLLM(budget=24, num_sinks=3),
    RandomEviction(budget=20, seed=2),
    KeyDiff(budget=0.3),
    Namm.untrained("random", sigma=0.5, seed=1),
]


@pytest.mark.parametrize("every", [16, 48])
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_stepping_with_eviction_equals_the_oracle_of_the_decision_transformer(policy, every):
    """Updates fall inside steps (16 is not a multiple of 3), and heads keep different numbers of tokens."""
    net, data = model(), trajectories()
    with torch.no_grad():
        with pruned(net, policy, update_every=every, protect_recent=6, attention="sdpa") as memory:
            cache = recording(memory.cache())
            found = stepwise(net, memory, data, cache)
            seen = visibility_of(cache)
        with masked_attention(net, seen):
            hidden = net.encoder(
                inputs_embeds=_turns(net, data),
                position_ids=torch.zeros(2, 119, dtype=torch.long),
                attention_mask=torch.ones(2, 119, dtype=torch.long),  # or equal positions pass for packed texts
                use_cache=False,
            ).last_hidden_state
        expected = net.predict_action(hidden[:, 1::3])
        full = net(**data).action_preds
    assert (found - expected).abs().max() < 1e-12
    assert (found - full).abs().max() > 1e-4  # something was forgotten, and it mattered


def _turns(net, data):
    """The tokens that stepping feeds: everything but the last action."""
    from namm_xmodal.adapters.decision_transformer import embed_trajectories

    return embed_trajectories(net, **data)[:, :-1]


def test_batch_mates_of_a_decision_transformer_do_not_matter():
    net, data = model(), trajectories(3)
    policy = Namm.untrained("random", sigma=0.5, seed=1)
    with torch.no_grad(), pruned(net, policy, update_every=16, protect_recent=6) as memory:
        together = stepwise(net, memory, data)
        for row in range(3):
            alone = stepwise(net, memory, {name: value[row : row + 1] for name, value in data.items()})
            assert (together[row] - alone[0]).abs().max() < 1e-12


def test_a_decision_transformer_turn_embeds_as_one_product_what_its_modules_embed():
    """At the first step, within, at the last known timestep and beyond it."""
    net, data = model(max_ep_len=20), trajectories()
    embed = StepEmbedding(net)
    for step in (0, 1, 19, 20, 35):
        previous = None if step == 0 else data["actions"][:, 0]
        parts = previous, data["returns_to_go"][:, 0], data["states"][:, 0]
        expected = embed_step(net, *parts, torch.full((2,), step))
        found = embed(None if step == 0 else previous.numpy(), parts[1][:, 0].numpy(), parts[2].numpy(), step)
        assert found.shape == expected.shape and (found - expected).abs().max() < 1e-12
