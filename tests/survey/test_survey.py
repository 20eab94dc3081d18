"""Every class of the survey gets the verdict that `docs/models.md` gives it; refusals come before a model is touched."""

import pytest
import survey_page
import torch
from survey_classes import EXACT, REFUSED
from tiny_classes import tiny_class

from namm_xmodal.adapters import check
from namm_xmodal.adapters.table import find_adapter
from namm_xmodal.adapters.verdict import Verdict, verdict_of
from namm_xmodal.errors import UnsupportedModelError


@pytest.mark.parametrize(("adapter", "name"), [(adapter, name) for adapter in EXACT for name in EXACT[adapter]])
def test_exact(adapter, name, monkeypatch):
    monkeypatch.setitem(check._TOLERANCE, torch.float32, 2e-5)  # rounding; of Gemma 4 it is 1e-5 on some processors
    assert verdict_of(tiny_class(name)) == Verdict("exact", adapter)


@pytest.mark.parametrize(("why", "name"), [(why, name) for why in REFUSED for name in REFUSED[why]])
def test_refused_at_entry_in_one_short_sentence(why, name):
    model = tiny_class(name)
    message = f"{name} cannot be pruned: the model {why}"
    with pytest.raises(UnsupportedModelError) as caught:
        find_adapter(model)
    assert str(caught.value) == message
    assert "adapter" not in message
    assert len(why) <= 110


def test_a_model_that_is_wrong_is_called_so(monkeypatch):
    monkeypatch.setitem(check._TOLERANCE, torch.float32, 0.0)
    found = verdict_of(tiny_class("Gemma2ForCausalLM"))
    assert found.kind == "wrong"
    assert "clause" in found.about


@pytest.mark.parametrize("name", ["Gemma3nForCausalLM", "Gemma4ForCausalLM"])
def test_classes_whose_layers_may_share_keys_are_exact_without_sharing_too(name):
    assert tiny_class(name).config.num_kv_shared_layers == 2
    assert verdict_of(tiny_class(name, {})) == Verdict("exact", "language")


def test_the_page_is_what_the_survey_says():
    assert survey_page.PAGE.read_text() == survey_page.page()
