"""Hybrid models: attention is pruned, states follow generation, beams, forks and repeated rows."""

import pytest
import torch
from families import in_chunks, padded_batch, tiny
from tiny_classes import tiny_class

from namm_xmodal import AdaKV, KeyDiff, RandomEviction, pruned
from namm_xmodal.cache.fork import fork

NAMES = ("Qwen3NextForCausalLM", "FalconH1ForCausalLM", "Lfm2ForCausalLM")


@pytest.mark.parametrize("name", NAMES)
def test_generation_and_beams_without_eviction_are_the_models_own(name):
    model, ids = tiny_class(name), padded_batch(40, rows=1)["input_ids"]
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    for beams in (1, 3):
        stock = model.generate(ids, num_beams=beams, **options)
        with pruned(model, None) as memory:
            assert torch.equal(memory.generate(ids, num_beams=beams, **options), stock)


@pytest.mark.parametrize("name", NAMES)
def test_chunks_forks_and_repeated_rows_go_on_alike(name):
    model, batch = tiny_class(name), {"input_ids": padded_batch(60, rows=1)["input_ids"]}
    policy = AdaKV(base=KeyDiff() if name.startswith("Lfm2") else RandomEviction(seed=1), budget=0.5)
    with torch.no_grad(), pruned(model, policy, update_every=16) as memory:
        cache, token = memory.cache(), torch.tensor([[7]])
        in_chunks(model, batch, cache, 60)
        repeated = fork(cache)
        repeated.batch_repeat_interleave(2)
        rows = model(token.expand(2, -1), past_key_values=repeated).logits
        repeated.batch_select_indices(torch.tensor([1]))
        alone = model(token, past_key_values=cache).logits
        assert torch.allclose(rows, alone.expand(2, -1, -1), atol=1e-5)
        one, other = (model(token, past_key_values=each).logits for each in (repeated, cache))
        assert torch.allclose(one, other, atol=1e-5)
        assert memory.report().kept_fraction < 0.7


def test_two_forwards_with_a_policy_that_protects_report_and_generate():
    model, ids = tiny_class("Qwen3NextForCausalLM"), padded_batch(60, rows=1)["input_ids"]
    with torch.no_grad(), pruned(model, KeyDiff(budget=0.5), update_every=16, protect_recent=4) as memory:
        memory.generate(ids, max_new_tokens=4, pad_token_id=0)
        assert len(memory.report().layers) == 2
        assert "layers 0 to 1" in str(memory.report())


def states_of(name, config, rows):
    """Bytes of the states of all layers in float32, by the shapes that the architectures' papers give."""
    if name.startswith("Qwen3Next"):  # a window over queries, keys and values, and a matrix for each head
        keys = config.linear_num_key_heads * config.linear_key_head_dim
        values = config.linear_num_value_heads * config.linear_value_head_dim
        window = (2 * keys + values) * config.linear_conv_kernel_dim
        layer = window + config.linear_num_value_heads * config.linear_key_head_dim * config.linear_value_head_dim
        return 4 * rows * layer * config.layer_types.count("linear_attention")
    if name.startswith("Lfm2"):  # a short convolution over hidden states, and nothing recurrent
        return 4 * rows * config.hidden_size * config.conv_L_cache * config.layer_types.count("conv")
    inner = config.mamba_d_ssm  # Mamba 2 in every layer, beside attention
    window = (inner + 2 * config.mamba_n_groups * config.mamba_d_state) * config.mamba_d_conv
    return 4 * rows * (window + inner * config.mamba_d_state) * config.num_hidden_layers


@pytest.mark.parametrize("name", NAMES)
def test_the_report_counts_states_beside_what_is_pruned(name):
    model = tiny_class(name)
    for rows, length in ((1, 60), (3, 90)):
        ids, found = padded_batch(length, pad=0, rows=rows)["input_ids"], {}
        for budget in (0.2, 0.9):
            with torch.no_grad(), pruned(model, KeyDiff(budget=budget), update_every=16) as memory:
                model(ids)
                found[budget] = memory.report()
        expected = states_of(name, model.config, rows)
        assert expected > 0
        assert [report.recurrent_bytes for report in found.values()] == [expected] * 2, "whatever the budget and length"
        report = found[0.2]
        assert report.to_dict()["recurrent_bytes"] == expected
        assert f"{expected / 2**20:.2f} MiB of recurrent states beside" in str(report)
        assert report.allocated_bytes == sum(each.allocated_bytes + each.state_bytes for each in report.layers)
        assert report.allocated_bytes < found[0.9].allocated_bytes


def test_models_without_states_say_nothing_of_them():
    with torch.no_grad(), pruned(tiny("llama"), None) as memory:
        memory.model(padded_batch(20)["input_ids"])
        assert memory.report().recurrent_bytes == 0
        assert "recurrent" not in str(memory.report())
