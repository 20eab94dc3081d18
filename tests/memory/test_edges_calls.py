"""Whoever calls a model inside the block, and however, gets the pruned model: checked against the masked oracle."""

import pytest
import torch
import transformers as hf
from families import FAMILIES, padded_batch, tiny
from ragged import RaggedByAttention
from video_models import tiny_llava, video_prompt

from namm_xmodal import H2O, pruned
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.errors import UnsupportedOperationError

GREEDY = dict(max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0)


@pytest.fixture
def model():
    return tiny("llama", torch.float64, sharpness=2.0)


@pytest.fixture
def ids():
    return padded_batch(60, rows=1)["input_ids"]


def inside(model, **settings):
    return pruned(model, RaggedByAttention(), **{"update_every": 16, **settings})


def recorded(memory):
    """Lets the caches that are made for calls record what each query sees."""
    make = memory.cache

    def cache():
        memory.last_cache = recording(make())
        return memory.last_cache

    memory.cache = cache


def difference_to_oracle(model, logits, memory, inputs):
    with masked_attention(model, visibility_of(memory.last_cache)):
        expected = model(**inputs, use_cache=False).logits
    real = inputs.get("attention_mask", torch.ones_like(inputs["input_ids"])).bool()
    return ((logits - expected)[real].abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("use_cache", [None, True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_plain_call_is_pruned(family, use_cache):
    model, batch = tiny(family, torch.float64), padded_batch()
    plain = model(**batch).logits
    with inside(model) as memory:
        recorded(memory)
        logits = model(**batch, use_cache=use_cache).logits
    assert difference_to_oracle(model, logits, memory, batch) < 1e-12
    assert (logits - plain).abs().max() > 1e-3
    assert memory.report().seen == (100, 87)
    assert memory.report().kept_fraction < 0.9


WAYS = {
    "memory.generate": lambda memory, ids, **more: memory.generate(ids, **more),
    "model.generate": lambda memory, ids, **more: memory.model.generate(ids, **more),
    "without a cache": lambda memory, ids, **more: memory.model.generate(ids, use_cache=False, **more),
    "in chunks": lambda memory, ids, **more: memory.model.generate(ids, prefill_chunk_size=7, **more),
    "embedded": lambda memory, ids, **more: torch.cat(
        [ids, memory.model.generate(inputs_embeds=memory.model.get_input_embeddings()(ids), **more)], 1
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_greedy_text_is_the_oracles(model, ids, way):
    with inside(model) as memory:
        recorded(memory)
        text = WAYS[way](memory, ids, **GREEDY)
        if way == "without a cache":  # each step read the text anew, the last one all but the last token
            text = torch.cat([text[:, :-1], model(text[:, :-1]).logits[:, -1:].argmax(-1)], 1)
    assert memory.report().seen == (67,)
    with masked_attention(model, visibility_of(memory.last_cache)):
        expected = model(text[:, :-1], use_cache=False).logits.argmax(-1)
    assert torch.equal(text[:, 60:], expected[:, 59:])


@pytest.mark.parametrize("mode", [{"num_beams": 3}, {"num_beams": 3, "use_cache": False}, {"num_return_sequences": 2}])
def test_beams_and_samples_of_model_generate_are_those_of_memory_generate(model, mode):
    batch = padded_batch(40)
    batch.pop("position_ids")
    options = {**GREEDY, **mode, "do_sample": "num_return_sequences" in mode}
    with inside(model) as memory:
        torch.manual_seed(0)
        found = model.generate(**batch, **options)
        options.pop("use_cache", None)
        torch.manual_seed(0)
        assert torch.equal(found, memory.generate(**batch, **options))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_pipeline_is_pruned(batch_size):
    from namm_xmodal.language.models import load_language_model

    loaded = load_language_model("tiny-random")
    tokenizer = loaded.tokenizer
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.pad_token or tokenizer.eos_token, "left"
    pipe = hf.pipeline("text-generation", model=loaded.model, tokenizer=tokenizer)
    texts = ["The river was wide and the boat was small. " * 4, "A short one about rivers and boats."]
    options = dict(max_new_tokens=6, do_sample=False, return_tensors=True)
    with inside(loaded.model) as memory:
        found = [each[0]["generated_token_ids"] for each in pipe(texts, batch_size=batch_size, **options)]
        kept = memory.report().kept_fraction
        for text, tokens in zip(texts, found, strict=True):
            ids = tokenizer(text, return_tensors="pt")["input_ids"]
            alone = memory.generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=tokenizer.pad_token_id)
            assert [t for t in tokens if t != tokenizer.pad_token_id] == alone[0].tolist()
    assert kept < 1


def test_an_own_dynamic_cache_becomes_a_pruned_one(model, ids):
    """The idiom of kvpress: the caller makes a cache, passes it, and continues with it."""
    with inside(model) as memory:
        whole = model(ids, past_key_values=memory.cache()).logits
        kept = memory.report().live
        for cache in (hf.DynamicCache(), hf.DynamicCache(config=model.config)):
            parts = [model(each, past_key_values=cache).logits for each in ids.split(25, 1)]
            assert (torch.cat(parts, 1) - whole).abs().max() < 1e-12
            assert cache.get_seq_length() == 60
            assert memory.report().live == kept
        made = model.generate(ids, return_dict_in_generate=True, **GREEDY).past_key_values
        memory.cache()
        memory.generate(torch.cat([ids, ids], 1), past_key_values=made, **GREEDY)
        assert memory.report().seen == (127,)


@pytest.mark.parametrize("source", ["config", "generation_config", "object", "both"])
def test_a_checkpoint_that_says_use_cache_false_is_pruned_all_the_same(model, ids, source):
    """Fine-tuned models keep it; the whole prompt was fed again at every step, 786 tokens for 60 + 12."""
    with inside(model) as memory:
        expected = memory.generate(ids, **GREEDY)
    options = dict(GREEDY)
    if source in ("config", "both"):
        model.config.use_cache = False
    if source in ("generation_config", "both"):
        model.generation_config.use_cache = False
        model.generation_config.cache_implementation = "static"
    if source == "object":
        options = {"generation_config": hf.GenerationConfig(use_cache=False, **GREEDY)}
    with inside(model) as memory:
        assert torch.equal(memory.generate(ids, **options), expected)
        assert memory.report().seen == (67,)
        model.generation_config.cache_implementation = None
        assert torch.equal(model.generate(ids, **options), expected)
        assert memory.report().seen == (67,)
        assert torch.equal(model(ids).logits, model(ids, past_key_values=memory.cache(), use_cache=True).logits)


def test_the_inner_model_and_its_forward_are_pruned_too(model, ids):
    with inside(model) as memory:
        expected = model(ids, past_key_values=memory.cache())
        assert torch.equal(model.forward(ids).logits, expected.logits)
        hidden = model.model(ids).last_hidden_state
        assert torch.equal(model.lm_head(hidden), expected.logits)
        assert torch.equal(model.model(ids, None, None, None).last_hidden_state, hidden)  # by position


def test_a_plain_call_of_llava_is_pruned_and_its_vision_tower_left_alone():
    model = tiny_llava(torch.float64)
    inputs = video_prompt(model, frames=8)
    with inside(model) as memory:
        expected = memory.adapter.forward(model, inputs, memory.cache())
        assert torch.equal(model(**inputs).logits, expected)
        assert memory.report().kept_fraction < 0.9
        found = model.generate(**inputs, **GREEDY)
        assert torch.equal(found, memory.generate(**inputs, **GREEDY))


def test_a_loss_is_pruned(model, ids):
    with inside(model) as memory:
        expected = model(ids, labels=ids, past_key_values=memory.cache()).loss
        assert model(ids, labels=ids).loss == expected


def test_another_attention_inside_the_block_is_left_alone(model, ids):
    plain = model(ids).logits
    with inside(model) as memory:
        cache = recording(memory.cache())
        logits = model(ids, past_key_values=cache).logits
        with masked_attention(model, visibility_of(cache)):
            assert (model(ids, use_cache=False).logits - logits).abs().max() < 1e-12
        model.set_attn_implementation("sdpa")
        assert torch.equal(model(ids).logits, plain)
        with pytest.raises(
            UnsupportedOperationError, match="layer 0: its keys went into the pruned cache, but another"
        ):
            model(ids, past_key_values=memory.cache())


# ------------------------------------------------------------------ what cannot be pruned is said to be so
def refusals(model, ids):
    filled = hf.DynamicCache()
    for layer in range(3):
        filled.update(torch.zeros(1, 2, 5, 8).double(), torch.zeros(1, 2, 5, 8).double(), layer)
    static = hf.StaticCache(model.config, max_cache_len=80)
    return {
        "a static cache for": lambda m: model.generate(ids, cache_implementation="static", **GREEDY),
        r"generate\(cache_implementation='static'\)": lambda m: m.generate(ids, cache_implementation="static"),
        "past_key_values=StaticCache: cannot be pruned": lambda m: model(ids, past_key_values=static),
        "past_key_values=tuple: cannot be pruned": lambda m: model(ids, past_key_values=((1, 2),)),
        "DynamicCache of 5 tokens: these were read without pruning": lambda m: model(ids, past_key_values=filled),
        r"generate\(use_cache=False\)": lambda m: m.generate(ids, use_cache=False),
        r"generate\(prompt_lookup_num_tokens=": lambda m: m.generate(
            ids, generation_config=hf.GenerationConfig(prompt_lookup_num_tokens=3)
        ),
        "cannot be rolled back": lambda m: model.generate(ids, prompt_lookup_num_tokens=3, **GREEDY),
        "encoder_hidden_states": lambda m: model.model(ids, encoder_hidden_states=torch.zeros(1, 4, 32)),
        "4-D mask": lambda m: model(ids, attention_mask=torch.ones(1, 1, 60, 60).tril().bool()),
    }


@pytest.mark.parametrize("message", refusals(tiny("llama"), None))
def test_what_cannot_be_pruned_is_refused(model, ids, message):
    with inside(model) as memory:
        refused(message, lambda: refusals(model, ids)[message](memory))
        model(ids)  # the next call is in order


def test_no_cache_under_post_prefill_would_prune_nothing(model, ids):
    with inside(model, schedule="post_prefill") as memory:
        refused("use_cache=False with schedule='post_prefill'", lambda: model.generate(ids, use_cache=False, **GREEDY))
        assert torch.equal(model.generate(ids, **GREEDY), memory.generate(ids, **GREEDY))
        assert memory.report().kept_fraction < 1


@pytest.mark.with_gradients
@pytest.mark.parametrize("more", [{}, {"use_cache": False}])
def test_gradient_checkpointing_drops_the_cache_and_is_refused(model, ids, more):
    model.train()
    with inside(model) as memory:
        expected = model(ids, labels=ids, past_key_values=memory.cache()).loss
        loss = model(ids, labels=ids, **more).loss
        loss.backward()
        assert loss == expected
        model.gradient_checkpointing_enable()
        refused("gradient checkpointing drops the cache", lambda: model(ids, labels=ids, **more))


def test_a_plain_call_of_a_decision_transformer_is_refused():
    config = hf.DecisionTransformerConfig(state_dim=3, act_dim=2, hidden_size=16, n_layer=2, n_head=2, max_ep_len=20)
    model = hf.DecisionTransformerModel(config).eval()
    inputs = dict(
        states=torch.zeros(1, 5, 3),
        actions=torch.zeros(1, 5, 2),
        returns_to_go=torch.zeros(1, 5, 1),
        timesteps=torch.arange(5)[None],
    )
    plain = model(**inputs, attention_mask=torch.ones(1, 5)).action_preds
    with pruned(model, H2O(budget=6), update_every=4) as memory:
        refused("takes no cache, so a plain call cannot be pruned", lambda: model(**inputs))
        memory.adapter.forward(model, inputs, memory.cache())
        assert memory.report().kept_fraction < 1
    assert torch.equal(model(**inputs, attention_mask=torch.ones(1, 5)).action_preds, plain)


def refused(message, call):
    with pytest.raises(UnsupportedOperationError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
