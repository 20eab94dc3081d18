"""Saved and published policies."""

import json
import os
import struct

import torch

from hostile.kinds import Call, hostile
from namm_xmodal.policies.namm import Namm


def policy(folder, **changes):
    Namm.untrained("random").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


@hostile(Namm.from_pretrained)
def policy_with_a_transform_of_terabytes(folder):
    return policy(folder, features={"name": "spectrogram", "n_fft": 200_000, "hop": 100_000, "ema_coefficient": 0.99})


@hostile(Namm.from_pretrained)
def policy_with_a_billion_layers(folder):
    return policy(folder, scorer={"name": "mlp", "hidden": 60, "depth": 10**9})


@hostile(Namm.from_pretrained)
def policy_with_words_for_numbers(folder):
    return policy(folder, threshold="high", statistics=[1])


@hostile(Namm.from_pretrained)
def policy_with_deep_metadata(folder):
    policy(folder)
    (folder / "config.json").write_text('{"metadata":' + '{"a":' * 900 + "1" + "}" * 901)
    return folder


@hostile(Namm.from_pretrained)
def policy_configuration_as_a_pipe(folder):
    (policy(folder) / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    return folder


@hostile(Namm.from_pretrained)
def policy_weights_as_a_pipe(folder):
    (policy(folder) / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    return folder


@hostile(Namm.from_pretrained)
def policy_weights_with_a_header_of_megabytes(folder):
    entry = b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    header = b"{" + b"".join(entry % number for number in range(1_500_000)) + b'"a":{}}'
    (policy(folder) / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    return folder


@hostile(Namm.from_pretrained)
def policy_weights_of_gigabytes(folder):
    with (policy(folder) / "model.safetensors").open("r+b") as file:
        file.truncate(2**36)
    return folder


@hostile(Namm.from_published)
def published_policy_as_a_pipe(folder):
    os.mkfifo(folder / "ckpt.pt")
    return folder / "ckpt.pt"


@hostile(Namm.from_published)
def published_policy_as_a_device(folder):
    (folder / "ckpt.pt").symlink_to("/dev/zero")
    return folder / "ckpt.pt"


@hostile(Namm.from_published)
def published_policy_as_a_folder(folder):
    return folder


@hostile(Namm.from_published)
def published_policy_of_zeros(folder):
    torch.save({"mean": torch.zeros(1).expand(10**9)}, folder / "ckpt.pt")
    return folder / "ckpt.pt"


@hostile(Namm.from_published)
def published_policy_that_calls(folder):
    torch.save({"mean": Call(os.system, f"touch {folder}/ran")}, folder / "ckpt.pt")
    return folder / "ckpt.pt"


@hostile(Namm.from_published)
def old_published_policy_that_promises_gigabytes(folder):
    place = folder / "ckpt.pt"
    torch.save({"mean": torch.zeros(3)}, place, _use_new_zipfile_serialization=False)
    content = place.read_bytes()
    place.write_bytes(content[:-20] + struct.pack("<q", 10**9) + content[-12:])
    return place
