"""`check_adapter` holds for the language adapter on every family, and notices every kind of broken one."""

import pytest
import torch
import transformers as hf
from families import FAMILIES, padded_batch, tiny

from namm_xmodal.adapters.check import check_adapter
from namm_xmodal.adapters.language import LanguageAdapter
from namm_xmodal.errors import ContractError

SIZES = dict(
    vocab_size=97,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
TURNING = {  # other layouts of the rotary embedding
    "neighbours": lambda: hf.CohereForCausalLM(hf.CohereConfig(**SIZES)),
    "neighbours, half of them": lambda: hf.GlmForCausalLM(hf.GlmConfig(**SIZES)),
    "neighbours, tables of halves": lambda: hf.Ernie4_5ForCausalLM(hf.Ernie4_5Config(**SIZES)),
    "some layers not": lambda: hf.SmolLM3ForCausalLM(hf.SmolLM3Config(**SIZES)),
    "scaled": lambda: hf.LlamaForCausalLM(
        hf.LlamaConfig(
            **SIZES,
            rope_parameters={
                "rope_type": "yarn",
                "rope_theta": 10000.0,
                "factor": 4.0,
                "original_max_position_embeddings": 64,
            },
        )
    ),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_language_adapter_holds(family, dtype):
    check_adapter(LanguageAdapter(), tiny(family, dtype), padded_batch(40, 5))


@pytest.mark.parametrize("layout", TURNING)
def test_rotary_layouts(layout):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TURNING[layout]().eval()
    check_adapter(LanguageAdapter(), model, {"input_ids": padded_batch(24, 0, 1)["input_ids"]})


# ------------------------------------------------------------------ broken on purpose, one clause each
class NoKinds:
    name = "no kinds"


class Refuses(LanguageAdapter):
    def missing(self, model):
        return "is not to its taste"


class TooManyLayers(LanguageAdapter):
    def num_layers(self, model):
        return super().num_layers(model) + 1

    def rotary(self, model):
        return [None] * self.num_layers(model)


class TooFewLayers(LanguageAdapter):
    def num_layers(self, model):
        return super().num_layers(model) - 1

    def rotary(self, model):
        return [None] * self.num_layers(model)


class ForgetsToSwitchBack(LanguageAdapter):
    def current_implementation(self, model):
        now = super().current_implementation(model)
        return "eager" if now == "sdpa" else now


class AddsNoise(LanguageAdapter):
    calls = 0

    def forward(self, model, inputs, cache):
        self.calls += 1
        return super().forward(model, inputs, cache) + self.calls * 1e-6


class OneKindTooFew(LanguageAdapter):
    def token_kinds(self, model, inputs):
        return [row[1:] for row in super().token_kinds(model, inputs)]


class CallsPaddingText(LanguageAdapter):
    def token_kinds(self, model, inputs):
        return [["text"] * len(row) for row in super().token_kinds(model, inputs)]


class TurnsTheOtherWay(LanguageAdapter):
    def rotary(self, model):
        return [lambda p, table=table: (table(p)[0], -table(p)[1]) for table in super().rotary(model)]


class LosesPositions(LanguageAdapter):
    def forward(self, model, inputs, cache):
        return super().forward(model, {name: inputs[name] for name in inputs if name != "position_ids"}, cache)


class OneTable(LanguageAdapter):
    def rotary(self, model):
        return super().rotary(model)[:1]


class PeeksWithoutPadding(LanguageAdapter):
    """Agrees as long as nothing is forgotten."""

    def forward(self, model, inputs, cache):
        output = super().forward(model, inputs, cache)
        layer = cache.layers[0]
        if hasattr(layer, "kept") and not layer.untouched:
            output = output * 1.001
        return output


BROKEN = [
    (NoKinds, "methods"),
    (Refuses, "missing"),
    (TooManyLayers, "layers"),
    (TooFewLayers, "layers"),
    (ForgetsToSwitchBack, "restore"),
    (AddsNoise, "full cache"),
    (OneKindTooFew, "token kinds"),
    (CallsPaddingText, "token kinds"),
    (TurnsTheOtherWay, "rotary"),
    (LosesPositions, "rotary"),
    (OneTable, "rotary"),
    (PeeksWithoutPadding, "oracle"),
]


@pytest.mark.parametrize(("adapter", "clause"), BROKEN, ids=[adapter.__name__ for adapter, _ in BROKEN])
def test_a_broken_adapter_is_caught(adapter, clause):
    model = tiny("llama")
    with pytest.raises(ContractError, match=f"^{adapter.__name__} breaks the clause '{clause}': .+") as caught:
        check_adapter(adapter(), model, padded_batch(40, 5))
    assert "\n" not in str(caught.value)
    assert ("does not pass position_ids on" in str(caught.value)) == (adapter is LosesPositions)
    if adapter is not ForgetsToSwitchBack:
        assert model.config._attn_implementation == "sdpa"


class Pair(torch.nn.Module):
    """A model of two parts, of which only one attends through the cache."""

    def __init__(self, switched):
        super().__init__()
        self.text, self.tower = tiny("llama"), tiny("gpt2")
        self.config, self.switched = self.text.config, switched

    def set_attn_implementation(self, name):
        for part in self.switched:
            self.get_submodule(part).set_attn_implementation(name)

    def get_decoder(self):
        return self.text.get_decoder()

    def forward(self, **inputs):
        return self.text(**inputs)


def test_switching_a_part_that_never_sees_the_cache_is_caught():
    with pytest.raises(ContractError, match=r"clause 'switch': it switched tower.*, which does not use the cache"):
        check_adapter(LanguageAdapter(), Pair(["text", "tower"]).eval(), padded_batch(40, 5))


def test_naming_a_decoder_that_never_sees_the_cache_is_caught():
    class NamesTheTower(LanguageAdapter):
        def decoder(self, model):
            return model.tower.transformer

    with pytest.raises(ContractError, match=r"clause 'decoder': tower.transformer is named .* but never receives it"):
        check_adapter(NamesTheTower(), Pair(["text"]).eval(), padded_batch(40, 5))
