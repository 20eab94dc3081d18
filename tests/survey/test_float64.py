"""The families of recent years in float64, where only what is wrong differs: hybrids, latent attention, sinks, pictures."""

import pytest
import torch
from tiny_classes import tiny_class

from namm_xmodal.adapters import check
from namm_xmodal.adapters.verdict import random_texts, verdict_of

LANGUAGE = """
    Qwen3NextForCausalLM Qwen3_5ForCausalLM JambaForCausalLM BambaForCausalLM FalconH1ForCausalLM Lfm2ForCausalLM
    NemotronHForCausalLM OlmoHybridForCausalLM Zamba2ForCausalLM RecurrentGemmaForCausalLM GptOssForCausalLM
    DeepseekV2ForCausalLM DeepseekV3ForCausalLM MiniCPM3ForCausalLM JetMoeForCausalLM
""".split()
VISION = """
    Qwen2VL Qwen2_5_VL Qwen3VL Gemma3 InternVL SmolVLM Mistral3 Llava LlavaOnevision
""".split()


def double(name):
    """Experts one by one, since torch groups them in float32 at most."""
    model = tiny_class(name).double()
    if name in LANGUAGE and hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    return model


@pytest.mark.parametrize("name", LANGUAGE)
def test_language_models_agree_to_ten_digits(name):
    assert str(verdict_of(double(name))) == "exact, by the adapter language"


@pytest.mark.parametrize("name", VISION)
def test_models_that_see_agree_to_ten_digits(name):
    assert str(verdict_of(double(f"{name}ForConditionalGeneration"))) == "exact, by the adapter vision_language"


@pytest.mark.parametrize("name", ["Gemma2ForCausalLM", "VaultGemmaForCausalLM"])
def test_soft_caps_agree_as_far_as_the_model_s_own_softmax(name, monkeypatch):
    """It is taken in float32 whatever the model's precision, and is not a number where all is padding; so no padding."""
    monkeypatch.setitem(check._TOLERANCE, torch.float64, 1e-6)
    model = double(name)
    whole = {key: value[:1] for key, value in random_texts(model).items()}
    row = whole["attention_mask"][0].bool()
    inputs = {key: value[:, row] for key, value in whole.items()}
    assert str(verdict_of(model, inputs)) == "exact, by the adapter language"
