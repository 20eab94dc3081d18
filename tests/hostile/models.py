"""Decision Transformers, language models and video models."""

import json
import os

import numpy as np
import torch
from safetensors.numpy import save_file

from hostile.kinds import DEEP, Call, hostile
from namm_xmodal.agents.checkpoint import find_checkpoints, load_checkpoint, save_checkpoint
from namm_xmodal.agents.checkpoint_metadata import CheckpointMetadata
from namm_xmodal.language.models import load_language_model
from namm_xmodal.video.models import load_video_model


def agent(folder, keep=None, **changes):
    from transformers import DecisionTransformerConfig, DecisionTransformerModel

    size = {"state_dim": 2, "act_dim": 2, "hidden_size": 16, "n_layer": 1, "n_head": 1, "n_positions": 64}
    model = DecisionTransformerModel(DecisionTransformerConfig(max_ep_len=50, **size)).eval()
    metadata = CheckpointMetadata(
        environment="namm_xmodal/TMaze-v0", target=1.0, scale=1.0, window=20, memory="cache", options={"length": 5}
    )
    save_checkpoint(model, metadata, folder / "model")
    config = json.loads((folder / "model" / "config.json").read_text())
    config["namm_xmodal"].update(keep or {})
    (folder / "model" / "config.json").write_text(json.dumps({**config, **changes}))
    return folder / "model"


def open_agent(place):
    for label, found in find_checkpoints(str(place)).items():
        load_checkpoint(label, found)


@hostile(open_agent)
def agent_with_a_mask_of_gigabytes(folder):
    return agent(folder, n_positions=200_000)


@hostile(open_agent)
def agent_with_a_billion_layers(folder):
    return agent(folder, n_layer=10**9)


@hostile(open_agent)
def agent_with_wide_layers(folder):
    return agent(folder, hidden_size=100_000, n_head=1)


@hostile(open_agent)
def agent_with_words_for_numbers(folder):
    return agent(folder, {"target": "high"})


@hostile(open_agent)
def agent_with_a_file_for_an_option(folder):
    return agent(folder, {"options": {"xml_file": "/dev/zero"}})


@hostile(open_agent)
def agent_whose_weights_are_elsewhere(folder):
    place = agent(folder)
    (place / "model.safetensors").rename(folder / "w.safetensors")
    (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../w.safetensors"}}))
    return place


@hostile(open_agent)
def agent_with_deep_json(folder):
    place = agent(folder)
    (place / "generation_config.json").write_text("[" * DEEP)
    return place


@hostile(open_agent)
def agent_with_a_pipe_in_its_folder(folder):
    place = agent(folder)
    os.mkfifo(place / "generation_config.json")
    return place


@hostile(open_agent)
def agent_whose_weights_call(folder):
    place = agent(folder)
    (place / "model.safetensors").unlink()
    torch.save({"a": Call(os.system, f"touch {folder}/ran")}, place / "pytorch_model.bin")
    return place


@hostile(lambda place: load_language_model(str(place)))
def language_model_with_code(folder):
    (folder / "config.json").write_text(
        json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}})
    )
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\nclass C: pass\nclass M: pass\n")
    return folder


@hostile(lambda place: load_language_model(str(place)))
def language_model_of_terabytes(folder):
    config = {"model_type": "llama", "hidden_size": 65536, "intermediate_size": 65536, "num_hidden_layers": 500}
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 259, "num_attention_heads": 1}))
    save_file({"a": np.zeros(3, np.float32)}, folder / "model.safetensors")
    from namm_xmodal.language.tiny_random import build_tiny_random

    build_tiny_random()[1].save_pretrained(folder)
    return folder


@hostile(lambda place: load_language_model(str(place)))
def language_model_that_is_an_adapter(folder):
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    return folder


@hostile(lambda place: load_video_model(str(place)))
def video_model_with_a_tower_elsewhere(folder):
    vision = {"model_type": "timm_wrapper", "architecture": "hf-hub:someone/else"}
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_next_video", "vision_config": vision}))
    return folder


@hostile(lambda place: load_video_model(str(place)))
def video_model_of_parts_elsewhere(folder):
    (folder / "parts.json").write_text(json.dumps({"tower": "hf-hub:someone/else"}))
    return folder


@hostile(lambda place: load_video_model(str(place)))
def video_model_of_wide_parts(folder):
    (folder / "parts.json").write_text(json.dumps({"side": 10**9}))
    return folder
