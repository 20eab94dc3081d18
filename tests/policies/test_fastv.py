"""FastV: one layer's attention says what all later layers see, in the prompt already."""

import numpy as np
import pytest
import torch
from families import padded_batch, tiny
from transformers import DynamicCache
from video_models import VIDEO, tiny_llava, video_prompt

from namm_xmodal import FastV, fork, pruned
from namm_xmodal.adapters.llava_next_video import LlavaNextVideoAdapter
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.errors import ClockError, ConfigError, UnsupportedModelError


def kept(cache, row=0):
    """Indices that each layer holds; the same in every head."""
    found = []
    for layer in cache.pruned:
        heads = [sorted(head[head >= 0].tolist()) for head in layer.index[row]]
        assert all(head == heads[0] for head in heads)
        found.append(heads[0])
    return found


def best(weights, count, competing, always):
    """`count` of the competing tokens, by the last token's attention (Hq, T, T) averaged over heads, and all others."""
    row = np.asarray(weights.float())[:, -1].mean(0)
    places = np.flatnonzero(competing)
    chosen = places[np.argsort(-row[places])[:count]]
    return sorted({*chosen.tolist(), *np.flatnonzero(always).tolist()})


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_the_choice_is_that_of_attention_weights(family, layer):
    model = tiny(family)
    ids = padded_batch(40, rows=1)["input_ids"]
    model.set_attn_implementation("eager")
    weights = model(ids, output_attentions=True).attentions[layer - 1][0]
    model.set_attn_implementation("sdpa")
    with pruned(model, FastV(budget=12, layer=layer), schedule="post_prefill") as memory:
        model(ids, past_key_values=(cache := memory.cache()))
    always = np.isin(np.arange(40), [0, 39])  # the first token, and the newest, which `pruned` protects
    expected = best(weights, 10, ~always, always)
    assert kept(cache) == [list(range(40))] * layer + [expected] * (3 - layer)
    assert [layer.slots for layer in cache.pruned] == [40] * layer + [12] * (3 - layer)  # memory is given back


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_only_visual_tokens_compete_where_text_always_stays(kv_heads):
    model, adapter = tiny_llava(kv_heads=kv_heads), LlavaNextVideoAdapter()
    inputs = video_prompt(model, frames=8)
    visual = (inputs["input_ids"][0] == VIDEO).numpy()
    first, stop = int(visual.argmax()), len(visual) - int(visual[::-1].argmax())
    text = ((0, first), (stop, len(visual)))
    model.set_attn_implementation("eager")
    weights = model(**inputs, output_attentions=True).attentions[1][0]
    model.set_attn_implementation("sdpa")
    with pruned(model, FastV(budget=int((~visual).sum()) + 6, always=text), schedule="post_prefill") as memory:
        adapter.forward(model, inputs, cache := memory.cache())
    assert kept(cache)[2] == best(weights, 6, visual, ~visual)


def without(model, inputs, chosen, layer):
    """Logits of a Llama whose hidden states lose all but `chosen` after `layer` layers: the paper's own description."""
    body = model.model
    hidden = body.embed_tokens(inputs)
    positions = torch.arange(hidden.shape[1])[None]
    for number, block in enumerate(body.layers):
        if number == layer:
            hidden, positions = hidden[:, chosen], positions[:, chosen]
        causal = torch.ones(hidden.shape[1], hidden.shape[1], dtype=torch.bool).tril()[None, None]
        hidden = block(hidden, attention_mask=causal, position_embeddings=body.rotary_emb(hidden, positions))
    return model.lm_head(body.norm(hidden))


@pytest.mark.parametrize("layer", [1, 2])
def test_kept_tokens_are_computed_as_if_the_others_had_left_the_hidden_states(layer):
    model = tiny("llama", torch.float64)
    ids = padded_batch(50, rows=1)["input_ids"]
    with torch.no_grad():
        with pruned(model, FastV(budget=0.3, layer=layer), schedule="post_prefill") as memory:
            logits = model(ids, past_key_values=(cache := memory.cache())).logits
            chosen = kept(cache)[-1]
            further = model(ids[:, :1], past_key_values=fork(cache)).logits
        assert len(chosen) == 15
        torch.testing.assert_close(logits[:, chosen], without(model, ids, chosen, layer))
        full = model(ids).logits[0, -1]
        assert (logits[0, -1] - full).abs().max() > 0.1  # the prompt's last token already sees less
        longer = torch.cat([ids, ids[:, :1]], 1)
        torch.testing.assert_close(further[:, -1], without(model, longer, [*chosen, 50], layer)[:, -1])


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_padded_rows_and_windows_equal_the_oracle_and_rows_alone(family):
    model, batch = tiny(family, torch.float64), padded_batch(64, 13)
    with pruned(model, FastV(budget=0.5), schedule="post_prefill") as memory:
        cache = recording(memory.cache())
        logits = model(**batch, past_key_values=cache).logits
        alone = memory.cache()
        model(**{name: value[1:, 13:] for name, value in batch.items()}, past_key_values=alone)
    assert [len(each) for each in kept(cache, 1)] == [51, 51, 26]
    assert [[index + 13 for index in each] for each in kept(alone)] == kept(cache, 1)
    with masked_attention(model, visibility_of(cache)):
        expected = model(**batch, use_cache=False).logits
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(logits[real], expected[real])


def test_nothing_is_chosen_after_the_prompt():
    model = tiny("llama", torch.float64)
    ids = padded_batch(60, rows=1)["input_ids"]
    with torch.no_grad(), pruned(model, FastV(budget=10), schedule="post_prefill") as memory:
        cache = memory.cache()
        model(ids[:, :40], past_key_values=cache)
        before = kept(cache)
        model(ids[:, 40:], past_key_values=cache)  # a second turn
        later = list(range(40, 60))
        assert kept(cache) == [each + later for each in before]
        made = memory.generate(ids, max_new_tokens=3, do_sample=False, num_beams=2)
    assert made.shape == (1, 63)


def test_a_budget_that_holds_everything_changes_no_bit():
    model, batch = tiny("llama"), padded_batch(30, 5)
    expected = model(**batch, past_key_values=DynamicCache()).logits
    with pruned(model, FastV(budget=30), schedule="post_prefill") as memory:
        assert torch.equal(model(**batch, past_key_values=memory.cache()).logits, expected)
    with pruned(model, FastV(budget=0.2, always=((0, 30),)), schedule="post_prefill") as memory:
        assert torch.equal(model(**batch, past_key_values=memory.cache()).logits, expected)


def test_fastv_refuses_what_cannot_work():
    model = tiny("llama")
    with pytest.raises(ClockError, match="use schedule post_prefill"), pruned(model, FastV()):
        pass
    with (
        pytest.raises(UnsupportedModelError, match=r"FastV\(layer=3\): .* has 3 layers.*expected at most 2"),
        pruned(model, FastV(layer=3), schedule="post_prefill"),
    ):
        pass
    with pytest.raises(ConfigError, match="layer=0: expected an integer, 1 or more"):
        FastV(layer=0)
    for span in ((3, 1), (1,), 4, (0.5, 2), (-1, 2)):
        with pytest.raises(ConfigError, match="expected pairs of positions"):
            FastV(always=(span,))
    assert FastV(always=[[0, 3]]) == FastV(always=((0, 3),))  # as a file has it
