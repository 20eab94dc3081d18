"""Models: nothing in their folders runs, attention is chosen here, and a hub's model is read like a folder."""

import json
import shutil

import pytest
import torch
from families import tiny
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from namm_xmodal.agents.checkpoint import SHIPPED
from namm_xmodal.errors import DataError
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.tiny_random import build_tiny_random
from namm_xmodal.trust.model_folder import open_model_folder


@pytest.fixture
def folder(tmp_path):
    model, tokenizer = build_tiny_random()
    place = tmp_path / "model"
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_attention_named_by_a_folder_is_not_used(folder, monkeypatch):
    monkeypatch.setattr("socket.socket.connect", lambda *given: pytest.fail("the network was asked"))
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
        change(folder, **{key: "someone/kernel"})
    change(folder, experts_implementation="someone/kernel", transformers_weights="../other.safetensors")
    assert load_language_model(str(folder)).model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["model_type of its own", "model_type that is known"])
@pytest.mark.parametrize("part", ["config", "tokenizer"])
def test_code_in_a_folder_is_never_run(folder, tmp_path, monkeypatch, kind, part):
    monkeypatch.setattr("builtins.input", lambda *given: "yes")
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
    if part == "config":
        change(folder, auto_map={"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"})
        if kind == "model_type of its own":
            change(folder, model_type="own")
    else:
        path = folder / "tokenizer_config.json"
        auto = {"auto_map": {"AutoTokenizer": [None, "own.Own"]}, "tokenizer_class": "Own"}
        path.write_text(json.dumps({**json.loads(path.read_text()), **auto}))
    said = ""
    try:
        load_language_model(str(folder))
    except DataError as error:
        said = str(error)
    assert "\n" not in said and "trust_remote_code" not in said
    assert not (tmp_path / "ran").exists()


def test_pickled_weights_give_the_same_model_without_unpickling(tmp_path, monkeypatch):
    model = tiny("llama")
    model.generation_config.max_new_tokens = 7
    model.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    monkeypatch.setattr("torch.load", lambda *given, **more: pytest.fail("torch unpickled"))
    for kind in (AutoModelForCausalLM, LlamaForCausalLM):
        found, missing = open_model_folder(str(tmp_path), error=DataError).model(kind, torch.float32)
        assert missing == []
        assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())
        assert found.generation_config.max_new_tokens == 7


def test_weights_in_pieces_are_read_from_the_folder_alone(tmp_path):
    model = tiny("llama")
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    index = tmp_path / "model.safetensors.index.json"
    found, missing = open_model_folder(str(tmp_path), error=DataError).model(LlamaForCausalLM, torch.float32)
    assert missing == []
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in model.state_dict().items())
    for piece in ("../other.safetensors", "/etc/passwd", "absent.safetensors"):
        index.write_text(json.dumps({"weight_map": {"a": piece}}))
        with pytest.raises(DataError, match=r"in the same folder|absent.safetensors: no such file"):
            open_model_folder(str(tmp_path), error=DataError).model(LlamaForCausalLM, torch.float32)


def test_a_folder_without_weights_says_so(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"contains no weights; expected model.safetensors or pytorch_model.bin"):
        load_language_model(str(folder))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers: 1,000,000,000: expected at most 1,000,000"),
        ({"num_hidden_layers": 5000}, "num_hidden_layers: 5,000: expected at most 1,024"),
        ({"vocab_size": 10**9}, "describes a model of"),
        ({"hidden_size": "wide"}, "cannot be loaded"),
        ({"architecture": "local-dir:/somewhere"}, "refers to a part outside the folder"),
    ],
)
def test_configurations_of_other_models_are_refused(folder, values, said):
    change(folder, **values)
    with pytest.raises(DataError, match=said) as caught:
        load_language_model(str(folder))
    assert "\n" not in str(caught.value)


def test_a_model_of_the_hub_is_fetched_and_read_as_a_folder(folder, tmp_path, monkeypatch):
    """The hub's cache as it lies on the disk; nothing is asked of the network."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cache = tmp_path / "hub" / "models--someone--model"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text(commit)
    shutil.copytree(folder, cache / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    loaded = load_language_model("someone/model", dtype="float32")
    assert loaded.source == f"hub someone/model@{commit}"
    change(cache / "snapshots" / commit, architecture="hf-hub:someone/else")
    with pytest.raises(DataError, match="refers to a part outside the folder"):
        load_language_model("someone/model")
    with pytest.raises(DataError, match="model 'someone/else' cannot be loaded"):
        load_language_model("someone/else")


def test_shipped_models_are_far_from_the_bounds():
    for path in SHIPPED.glob("*/seed-0"):
        assert open_model_folder(str(path), error=DataError).config.model_type == "decision_transformer"
