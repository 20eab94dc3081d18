"""Architectures that would be silently wrong: exact, or refused in one line that says why."""

import numpy as np
import pytest
import torch
import transformers as hf
from families import padded_batch, tiny
from ragged import RaggedByAttention

import namm_xmodal
from namm_xmodal import H2O, AdaKV, KeyDiff, L2Norm, Namm, SnapKV, StreamingLLM, pruned
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.cache.oracle import masked_attention, recording, visibility_of
from namm_xmodal.errors import BudgetError, NammError, UnsupportedModelError, UnsupportedOperationError
from namm_xmodal.policies.whole_steps import WholeSteps
from namm_xmodal.policies.within import Within

SIZES = dict(
    vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, pad_token_id=0,
    max_position_embeddings=128,
)  # fmt: skip
SEQUENCES = dict(
    vocab_size=97, d_model=32, decoder_layers=2, decoder_attention_heads=4, decoder_ffn_dim=48, encoder_layers=2,
    encoder_attention_heads=4, encoder_ffn_dim=48, max_position_embeddings=128, pad_token_id=0, is_decoder=True,
    is_encoder_decoder=False,
)  # fmt: skip
GQA = dict(**SIZES, num_key_value_heads=2)


def build(kind, config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config).eval()
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1 and "embed" not in name:
            parameter.data.mul_(6)
    return model.double()


REFUSED = {
    "diffllama: values": (
        lambda: build(hf.DiffLlamaForCausalLM, hf.DiffLlamaConfig(**GQA)),
        "the model combines values of different heads after caching them",
    ),
    "bert": (
        lambda: build(hf.BertLMHeadModel, hf.BertConfig(**SIZES)),
        "the model attends in both directions, as encoders do .is_decoder is false",
    ),
    "roberta": (
        lambda: build(hf.RobertaForCausalLM, hf.RobertaConfig(**SIZES)),
        "the model attends in both directions",
    ),
    "distilbert": (
        lambda: build(
            hf.DistilBertForMaskedLM, hf.DistilBertConfig(vocab_size=97, dim=32, n_layers=2, n_heads=4, hidden_dim=48)
        ),
        "takes no past_key_values",
    ),
    "modernbert": (
        lambda: build(hf.ModernBertForMaskedLM, hf.ModernBertConfig(**SIZES, bos_token_id=1, eos_token_id=2)),
        "takes no past_key_values",
    ),
    "doge: works on its mask": (
        lambda: build(hf.DogeForCausalLM, hf.DogeConfig(**GQA)),
        "the model computes on its attention mask",
    ),
    "git: adds its mask": (
        lambda: build(
            hf.GitForCausalLM,
            hf.GitConfig(
                **SIZES,
                vision_config=dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1),
            ),
        ),
        "the model computes on its attention mask",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_silently_wrong_is_refused(name):
    make, message = REFUSED[name]
    model, ids = make(), padded_batch(40, rows=1)["input_ids"]
    before = model.config._attn_implementation

    def inside():
        with pruned(model, RaggedByAttention(), update_every=16):
            model(ids)

    refused((UnsupportedModelError, UnsupportedOperationError), message, inside)
    assert model.config._attn_implementation == before


def test_a_decoder_whose_modules_say_that_they_are_not_causal_is_causal():
    """BigBirdPegasus: `is_causal` is False and the mask left out."""
    model = build(hf.BigBirdPegasusForCausalLM, hf.BigBirdPegasusConfig(**SEQUENCES))
    assert not model.model.decoder.layers[0].self_attn.is_causal
    exact(model)


@pytest.mark.parametrize(
    "make",
    [
        lambda: build(hf.BartForCausalLM, hf.BartConfig(**SEQUENCES)),
        lambda: build(hf.BertLMHeadModel, hf.BertConfig(**SIZES, is_decoder=True)),
        lambda: build(
            hf.ModernBertDecoderForCausalLM,
            hf.ModernBertDecoderConfig(**SIZES, bos_token_id=1, eos_token_id=2, local_attention=24),
        ),
    ],
    ids=["bart", "bert as decoder", "modernbert-decoder"],
)
def test_decoders_of_such_families_are_exact(make):
    exact(make())


def exact(model):
    ids = padded_batch(60, rows=1)["input_ids"]
    plain = model(ids).logits
    with pruned(model, None, update_every=16):
        assert (model(ids).logits - plain).abs().max() < 1e-12 * plain.abs().max()
    with pruned(model, RaggedByAttention(), update_every=16) as memory:
        cache = recording(memory.cache())
        logits = model(ids, past_key_values=cache).logits
        assert torch.equal(model(ids).logits, logits)
    with masked_attention(model, visibility_of(cache)):
        expected = model(ids, use_cache=False).logits
    assert (logits - expected).abs().max() < 1e-12 * expected.abs().max()
    assert (logits - plain).abs().max() > 1e-3


def test_bart_with_encoder_states_is_refused():
    model, ids = build(hf.BartForCausalLM, hf.BartConfig(**SEQUENCES)), padded_batch(20, rows=1)["input_ids"]
    states = torch.zeros(1, 4, 32, dtype=torch.double)
    with pruned(model, None, update_every=16) as memory:
        refused(
            UnsupportedOperationError,
            "encoder_hidden_states: attention to an encoder cannot be pruned",
            lambda: model(ids, encoder_hidden_states=states, past_key_values=memory.cache()),
        )


def moshi(window):
    return build(hf.MoshiForCausalLM, hf.MoshiConfig(**GQA, sliding_window=window, ffn_dim=48))


def test_a_window_that_only_the_stock_cache_knows_is_kept_or_refused():
    """Moshi's masks are plain causal; transformers' own cache drops what leaves the window."""
    ids = padded_batch(40, rows=1)["input_ids"]
    exact_model = moshi(64)
    exact(exact_model)
    model = moshi(24)
    with pruned(model, None, update_every=16) as memory:
        cache = memory.cache()
        assert torch.equal(model(ids[:, :24], past_key_values=cache).logits, moshi(24)(ids[:, :24]).logits)
        for call in (lambda: model(ids[:, 24:25], past_key_values=cache), lambda: model(ids)):
            refused(
                UnsupportedModelError,
                "tokens, but layer 0 has a window of 24 that only transformers' own cache applies",
                call,
            )


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_windows_that_masks_know_are_no_obstacle(family):
    exact(tiny(family, torch.float64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: hf.T5ForConditionalGeneration(
                hf.T5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
            ),
            "T5ForConditionalGeneration cannot be pruned: the model is an encoder-decoder",
        ),
        (lambda: torch.nn.Linear(2, 2), "Linear cannot be pruned: the model is not a transformers model"),
    ],
)
def test_a_refusal_begins_with_what_this_model_lacks(make, message):
    """It began with what other kinds of models would have."""
    refused(UnsupportedModelError, f"^{message}", lambda: find_adapter(make()))


def test_prefix_tuning_is_refused():
    """As PEFT's `PeftModelForCausalLM` presents itself, which looks everything else up in the model inside."""
    model = tiny("llama")
    model.active_peft_config = type("PrefixTuningConfig", (), {"peft_type": "PeftType.PREFIX_TUNING"})()
    refused(UnsupportedModelError, "PEFT prefix tuning", lambda: find_adapter(model))


@pytest.mark.parametrize("number", [np.int64, np.int32, np.uint8])
@pytest.mark.parametrize(
    "policy",
    [
        lambda n: H2O(budget=n(20)),
        lambda n: SnapKV(budget=n(20), window=n(4)),
        lambda n: StreamingLLM(budget=n(20), num_sinks=n(2)),
        lambda n: AdaKV(base=KeyDiff(), budget=n(20)),
        lambda n: Namm.untrained("random", sigma=0.5, seed=1, max_tokens=n(20)),
        lambda n: WholeSteps(Within(L2Norm(budget=n(20)), tokens=n(40)), size=n(3)),
    ],
    ids=["H2O", "SnapKV", "StreamingLLM", "AdaKV", "Namm", "wrappers"],
)
def test_integers_of_numpy_are_integers(policy, number):
    model, ids = tiny("llama"), padded_batch(60, rows=1)["input_ids"]
    found = []
    for kind in (int, number):
        with pruned(
            model, policy(kind), update_every=kind(16), protect_first=kind(2), protect_recent=kind(2), tile=kind(16)
        ) as memory:
            found.append((model(ids).logits, memory.report().live))
    assert torch.equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_fractions_of_numpy_are_fractions():
    assert H2O(budget=np.float32(0.25)).may_evict(100, None)
    for wrong in (np.float32(1.5), np.int64(0), np.int64(-3), np.bool_(True), True):
        refused(BudgetError, "budget=", lambda wrong=wrong: H2O(budget=wrong))


def test_the_public_names_of_a_policys_author():
    for name in ("Budgeted", "H2ONormalised", "Observation"):
        assert name in namm_xmodal.__all__
        assert getattr(namm_xmodal, name).__name__ == name


def refused(error, message, call):
    with pytest.raises(error, match=message) as caught:
        call()
    assert isinstance(caught.value, NammError)
    assert "\n" not in str(caught.value)
