"""Stretched positions: frequencies by hand, a longer context, and the same cache as without."""

import math

import pytest
import torch
from evaluations import make, run

from namm_xmodal.errors import ConfigError, UnsupportedModelError
from namm_xmodal.language.at_hand import model_at_hand
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.rope import Rope, stretch

THETA, SIZE, CONTEXT = 10_000.0, 8, 16_384


def frequencies(rope):
    rotary = load_language_model("tiny-random", dtype="float32", rope=rope).model.model.rotary_emb
    return rotary.inv_freq.double(), rotary.attention_scaling


def plain(theta=THETA):
    return theta ** -(torch.arange(0, SIZE, 2, dtype=torch.float64) / SIZE)


def test_frequencies_are_those_of_the_formulas():
    found, scaling = frequencies(None)
    torch.testing.assert_close(found, plain(), rtol=1e-5, atol=0)
    assert scaling == 1
    torch.testing.assert_close(frequencies(Rope("linear", 4))[0], plain() / 4, rtol=1e-5, atol=0)
    ntk = frequencies(Rope("ntk", 4))[0]
    torch.testing.assert_close(ntk, plain(THETA * 4 ** (SIZE / (SIZE - 2))), rtol=1e-5, atol=0)
    assert ntk[0] == 1 and float(ntk[-1] / plain()[-1]) == pytest.approx(1 / 4)  # only the slowest by the whole factor
    yarn, scaling = frequencies(Rope("yarn", 4))
    assert yarn[0] == 1 and float(yarn[-1] / plain()[-1]) >= 1 / 4 - 1e-6
    assert scaling == pytest.approx(0.1 * math.log(4) + 1)


@pytest.mark.parametrize("kind", ["linear", "yarn", "ntk"])
def test_the_context_grows(kind):
    rope = Rope(kind, 2.5)
    assert load_language_model("tiny-random", rope=rope).max_context == int(CONTEXT * 2.5)
    assert model_at_hand("tiny-random", rope).max_context == int(CONTEXT * 2.5)


def test_what_cannot_be_stretched_is_refused():
    from transformers import Gemma3TextConfig, GPT2Config, LlamaConfig

    with pytest.raises(ConfigError, match=r"rope_scaling\.factor: 1: expected a number above 1"):
        Rope("yarn", 1)
    for config in (GPT2Config(), Gemma3TextConfig()):
        with pytest.raises(UnsupportedModelError, match=r"rope_scaling: m: its positions are not of the plain kind"):
            stretch(config, Rope("yarn", 2), "m")
    llama = LlamaConfig(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4})
    with pytest.raises(UnsupportedModelError, match=r"its positions are of type linear"):
        stretch(llama, Rope("yarn", 2), "m")


def test_an_evaluation_reads_longer_prompts_and_records_why(tmp_path):
    section = {
        "model": "tiny-random",
        "tasks": {"keys": {"task": "key_retrieval", "n": 1, "length": [CONTEXT + 256], "texts": "python-source"}},
        "policies": {"full": {"policy": "full"}},
        "scoring": "likelihood",
        "budgets": [0.5],
    }
    with pytest.raises(Exception, match="is 16384"):
        run(make(language=section, output=str(tmp_path / "out")))
    longer = {**section, "rope_scaling": {"rope_type": "ntk", "factor": 2}}
    (record,) = run(make(language=longer, output=str(tmp_path / "out")))
    assert record.model["rope_scaling"] == "ntk x2" and record.facts.prompt_tokens > CONTEXT
    for wrong in ({"rope_type": "yarm", "factor": 2}, {"rope_type": "yarn"}, {"rope_type": "yarn", "factor": 0.5}):
        with pytest.raises(ConfigError, match="rope_scaling"):
            make(language={**section, "rope_scaling": wrong})
