"""Mistakes give one line that names value, expectation and remedy, and leave the model as it was."""

import pytest
import torch
import transformers as hf
from families import padded_batch, tiny

from namm_xmodal import H2O, L2Norm, StreamingLLM, pruned
from namm_xmodal.errors import (
    BudgetError,
    NammError,
    UnknownNameError,
    UnsupportedModelError,
    UnsupportedOperationError,
)


def refused(error, message, call):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, NammError)
    assert "\n" not in str(caught.value)


def inside(model, policy=None, **settings):
    with pruned(model, policy, **{"update_every": 16, **settings}) as memory:
        return memory


MODELS = {
    "encoder-decoder": lambda: hf.T5ForConditionalGeneration(
        hf.T5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ),
    "has no attention layer": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=20, hidden_size=16, num_hidden_layers=1)
    ),
    "attention interface": lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=20, hidden_size=16, n_layer=1, n_head=2)),
    "is not a transformers model": lambda: torch.nn.Linear(2, 2),
}  # fmt: skip


@pytest.mark.parametrize("message", MODELS)
def test_unsupported_models_are_named_with_what_they_lack(message):
    model = MODELS[message]().eval()
    refused(UnsupportedModelError, message, lambda: inside(model, L2Norm()))


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (BudgetError, "budget=0: expected at least 1 token", lambda m: inside(m, L2Norm(budget=0))),
        (BudgetError, r"budget=1.5: expected a fraction in \(0, 1\]", lambda m: inside(m, L2Norm(budget=1.5))),
        (BudgetError, "budget=0.0: expected a fraction", lambda m: inside(m, L2Norm(budget=0.0))),
        (BudgetError, "budget='half': expected a number", lambda m: inside(m, L2Norm(budget="half"))),
        (
            BudgetError,
            r"budget=10: below protect_first \+ protect_recent = 4 \+ 8",
            lambda m: inside(m, L2Norm(budget=10), protect_first=4, protect_recent=8),
        ),
        (UnknownNameError, "did you mean language", lambda m: inside(m, adapter="langauge")),
        (NammError, "budget=3", lambda m: inside(m, StreamingLLM(budget=3))),
    ],
)
def test_impossible_settings(error, message, make):
    model = tiny("llama")
    refused(error, message, lambda: make(model))
    assert model.config._attn_implementation == "sdpa"


def test_what_would_roll_the_cache_back_is_refused():
    model, ids = tiny("llama"), padded_batch(40, rows=1)["input_ids"]
    with pruned(model, L2Norm(budget=8), update_every=16) as memory:
        refused(
            UnsupportedOperationError,
            "rolls the cache back",
            lambda: memory.generate(ids, prompt_lookup_num_tokens=3, max_new_tokens=4),
        )
        refused(
            UnsupportedOperationError,
            "rolls the cache back",
            lambda: memory.generate(ids, assistant_model=model, max_new_tokens=4),
        )
        cache = memory.cache()
        model(ids, past_key_values=cache)
        before = [layer.keys.clone() for layer in cache.layers]
        refused(UnsupportedOperationError, "cannot be rolled back", lambda: cache.crop(10))
        refused(UnsupportedOperationError, "cannot be rolled back", lambda: cache.layers[0].crop(10))
        assert all(torch.equal(layer.keys, keys) for layer, keys in zip(cache.layers, before, strict=True))
        refused(
            UnsupportedOperationError,
            "expected a cache of this memory",
            lambda: memory.generate(ids, past_key_values=()),
        )


def test_ready_made_masks_are_refused():
    model, ids = tiny("llama"), padded_batch(40, rows=1)["input_ids"]
    mask = torch.ones(1, 1, 40, 40).tril().bool()
    with pruned(model, L2Norm(budget=8), update_every=16) as memory:
        refused(
            UnsupportedOperationError,
            "4-D mask",
            lambda: model(ids, attention_mask=mask, past_key_values=memory.cache()),
        )


def test_dropout_in_training_mode_is_refused():
    config = hf.LlamaConfig(
        vocab_size=20,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        attention_dropout=0.1,
    )
    model, ids = hf.LlamaForCausalLM(config).train(), torch.ones(1, 20, dtype=torch.long)
    with pruned(model, None, update_every=16) as memory:
        refused(UnsupportedOperationError, "model.eval", lambda: model(ids, past_key_values=memory.cache()))


def test_a_report_before_any_cache_is_refused():
    with pruned(tiny("llama"), H2O(), update_every=16) as memory:
        refused(UnsupportedOperationError, "there is no cache yet", memory.report)
