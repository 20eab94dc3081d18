"""`check model` says whether a model of the user's can be pruned."""

import transformers as hf
from tiny_classes import tiny_class


def test_exact(run, tmp_path):
    tiny_class("LlavaForConditionalGeneration").save_pretrained(tmp_path / "mine")
    said = run("check", "model", str(tmp_path / "mine")).stdout
    assert "exact, by the adapter vision_language" in " ".join(said.split())


def test_refused(refused, tmp_path):
    tiny_class("BloomForCausalLM").save_pretrained(tmp_path / "mine")
    line = refused("check", "model", str(tmp_path / "mine"))
    assert (
        "refused: BloomForCausalLM cannot be pruned: the model does not use transformers' attention interface" in line
    )


def test_a_folder_without_a_class(refused, tmp_path):
    hf.LlamaConfig(num_hidden_layers=1).save_pretrained(tmp_path / "mine")
    assert "`architectures`" in refused("check", "model", str(tmp_path / "mine"))
