"""Makes every hostile file and opens each in this process, to see what it costs: run by `test_trust_hostile.py`."""

import json
import multiprocessing
import os
import pickle
import resource
import struct
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.numpy import save_file

from namm_xmodal.agents.checkpoint import find_checkpoints, load_checkpoint, read_statistics, save_checkpoint
from namm_xmodal.agents.facts import Facts
from namm_xmodal.cli.evolve_statistics import load_statistics
from namm_xmodal.cli.inspect import read_text
from namm_xmodal.config.loader import load_mapping
from namm_xmodal.envs.behaviour.archives import read_archive
from namm_xmodal.envs.behaviour.policy import read_npz
from namm_xmodal.envs.d4rl_hdf5 import read_d4rl
from namm_xmodal.errors import NammError
from namm_xmodal.evaluation.journal import Journal
from namm_xmodal.evolution.record import read_run
from namm_xmodal.evolution.saving import load_vector
from namm_xmodal.gradient.run import read_steps
from namm_xmodal.language.models import load_language_model
from namm_xmodal.policies.namm import Namm
from namm_xmodal.training.journal import StageJournal
from namm_xmodal.video.benchmarks.files import read_rows
from namm_xmodal.video.benchmarks.subtitles import read_srt
from namm_xmodal.video.composed.pictures import Picture
from namm_xmodal.video.composed.render import render
from namm_xmodal.video.models import load_video_model

ROWS = 20
DEEP = 50_000
FILES = {}
"""Name -> (makes the file in an empty folder and returns its path, opens it)."""


def hostile(opens, name=None):
    def note(make):
        FILES[name or make.__name__] = make, opens
        return make

    return note


class Call:
    """Pickled as a call of a function with arguments."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


# --------------------------------------------------------------------- stable-baselines3
def archive(folder, weights=None, data="{}", compress=zipfile.ZIP_STORED):
    place = folder / "point-ppo.zip"
    with zipfile.ZipFile(place, "w", compress, compresslevel=1) as file:
        file.writestr("data", data)
        if weights is None:
            with file.open("policy.pth", "w") as member:
                torch.save({"action_net.0.weight": torch.ones(2, 3)}, member)
        elif isinstance(weights, bytes):
            file.writestr("policy.pth", weights)
        else:
            with file.open("policy.pth", "w", force_zip64=True) as member:
                weights(member)
    return place


def statistics(folder, content=None, **values):
    if content is None:
        state = pickle.dumps(values, 2)[2:-1]
        content = b"\x80\x02cstable_baselines3.vec_normalize\nVecNormalize\n)\x81" + state + b"b."
    (folder / "vecnormalize.pkl").write_bytes(content)
    return archive(folder)


def zeros(member, mebibytes):
    for _ in range(mebibytes):
        member.write(bytes(2**20))


@hostile(read_archive)
def pickled_objects_out_of_raw_bytes(folder):
    empty = Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b")
    empty.call = (*empty.call, (1, (4,), np.dtype("O"), False, b"\x41" * 32))
    return statistics(folder, norm_obs=empty)


@hostile(read_archive)
def pickled_type_with_a_false_state(folder):
    kind = Call(np.dtype, "f8", False, True)
    kind.call = (*kind.call, (3, "<", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 27))
    empty = Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b")
    empty.call = (*empty.call, (1, (4,), kind, False, b"\x41" * 32))
    return statistics(folder, norm_obs=empty)


@hostile(read_archive)
def pickled_memo_of_gigabytes(folder):
    return statistics(folder, b"\x80\x02Nr" + struct.pack("<I", 300_000_000) + b".")


@hostile(read_archive)
def pickled_bytearray_of_gigabytes(folder):
    return statistics(folder, b"\x80\x02cbuiltins\nbytearray\nJ" + struct.pack("<i", 2**31 - 1) + b"\x85R.")


@hostile(read_archive)
def pickled_key_that_takes_for_ever_to_hash(folder):
    return statistics(folder, b"\x80\x02}N" + b"2\x86" * 100 + b"Ns.")


@hostile(read_archive)
def pickled_array_of_another_shape(folder):
    empty = Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b")
    empty.call = (*empty.call, (1, (10**12,), np.dtype("f8"), False, b"\x00" * 8))
    return statistics(folder, norm_obs=empty)


@hostile(read_archive)
def statistics_as_a_pipe(folder):
    os.mkfifo(folder / "vecnormalize.pkl")
    return archive(folder)


@hostile(read_archive)
def archive_of_zeros(folder):
    return archive(folder, lambda member: zeros(member, 1100), compress=zipfile.ZIP_DEFLATED)


@hostile(read_archive)
def archive_with_deep_data(folder):
    return archive(folder, data="[" * DEEP)


@hostile(read_archive)
def archive_with_a_false_size(folder):
    place = archive(folder, bytes(2**28), compress=zipfile.ZIP_DEFLATED)
    content = bytearray(place.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 100)  # what is promised unpacked
    place.write_bytes(content)
    return place


@hostile(read_archive)
def archive_with_a_table_of_contents_of_megabytes(folder):
    place = archive(folder)
    content = place.read_bytes()
    at = content.rindex(b"PK\x05\x06")
    start = content.index(b"PK\x01\x02")
    entries = content[start:at] * 200_000
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 65535, 65535, len(entries), start, 0)
    place.write_bytes(content[:start] + entries + end)
    return place


@hostile(read_archive)
def archive_with_a_tensor_without_numbers(folder):
    def weights(member):
        torch.save({"action_net.0.weight": torch.ones(1, 1).expand(100_000, 100_000)}, member)

    return archive(folder, weights)


@hostile(read_archive)
def archive_with_a_number_for_a_matrix(folder):
    return archive(folder, lambda member: torch.save({"action_net.0.weight": torch.tensor(1.0)}, member))


@hostile(read_npz)
def npz_of_objects(folder):
    np.savez(folder / "a.npz", weight0=np.array([{}]), activation="tanh", squash=True)
    return folder / "a.npz"


@hostile(read_npz)
def npz_of_zeros(folder):
    with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("weight0.npy", "w") as member:
            header = {"descr": "<f8", "fortran_order": False, "shape": (1100 * 2**17,)}
            np.lib.format.write_array_header_1_0(member, header)
            zeros(member, 1100)
    return folder / "a.npz"


@hostile(read_npz)
def npz_that_promises_terabytes(folder):
    with zipfile.ZipFile(folder / "a.npz", "w") as file, file.open("weight0.npy", "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    return folder / "a.npz"


# --------------------------------------------------------------------- policies
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


# --------------------------------------------------------------------- models
def agent(folder, keep=None, **changes):
    from transformers import DecisionTransformerConfig, DecisionTransformerModel

    size = {"state_dim": 2, "act_dim": 2, "hidden_size": 16, "n_layer": 1, "n_head": 1, "n_positions": 64}
    model = DecisionTransformerModel(DecisionTransformerConfig(max_ep_len=50, **size)).eval()
    facts = Facts(
        environment="namm_xmodal/TMaze-v0", target=1.0, scale=1.0, window=20, memory="cache", options={"length": 5}
    )
    save_checkpoint(model, facts, folder / "model")
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


# --------------------------------------------------------------------- configurations
def text(folder, content, name="a.yaml"):
    (folder / name).write_text(content)
    return folder / name


@hostile(load_mapping)
def yaml_aliases_of_lists(folder):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return text(folder, "\n".join(lines))


@hostile(load_mapping)
def yaml_merges_that_double(folder):
    lines = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40)]
    return text(folder, "\n".join(lines))


@hostile(load_mapping)
def yaml_aliases_one_inside_the_other(folder):
    return text(folder, "\n".join(["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 5000)]))


@hostile(load_mapping)
def yaml_alias_inside_itself(folder):
    return text(folder, "a: &a [1, *a]")


@hostile(load_mapping)
def yaml_deep_lists(folder):
    return text(folder, "a: " + "[" * 400_000)


@hostile(load_mapping)
def yaml_deep_blocks(folder):
    return text(folder, "- " * 400_000 + "1")


@hostile(load_mapping)
def yaml_of_many_values(folder):
    return text(folder, "a: [" + "1," * 500_000 + "]")


@hostile(load_mapping)
def yaml_of_many_megabytes(folder):
    return text(folder, "#" * 2**24)


@hostile(load_mapping)
def yaml_long_chain_of_files(folder):
    for n in range(2000):
        text(folder, f"extends: f{n + 1}.yaml", f"f{n}.yaml")
    return folder / "f0.yaml"


@hostile(load_mapping)
def yaml_files_that_double(folder):
    for n in range(40):
        text(folder, f"extends: [f{n + 1}.yaml, f{n + 1}.yaml]", f"f{n}.yaml")
    text(folder, "a: 1", "f40.yaml")
    return folder / "f0.yaml"


@hostile(load_mapping)
def yaml_circle_of_files(folder):
    text(folder, "extends: a.yaml", "b.yaml")
    return text(folder, "extends: b.yaml")


@hostile(load_mapping)
def yaml_that_extends_a_device(folder):
    return text(folder, "extends: /dev/zero")


@hostile(load_mapping)
def yaml_that_extends_too_long_a_name(folder):
    return text(folder, f"extends: {'a' * 9000}")


@hostile(load_mapping)
def yaml_that_extends_the_home_of_nobody(folder):
    return text(folder, "extends: ~nobody-of-this-name/a.yaml")


@hostile(load_mapping)
def yaml_number_of_many_digits(folder):
    return text(folder, f"a: {'1' * 10_000}")


@hostile(load_mapping)
def yaml_date_that_is_none(folder):
    return text(folder, "a: 2001-99-99")


@hostile(load_mapping)
def yaml_that_calls(folder):
    return text(folder, f"a: !!python/object/apply:os.system ['touch {folder}/ran']")


@hostile(load_mapping)
def yaml_as_a_pipe(folder):
    os.mkfifo(folder / "a.yaml")
    return folder / "a.yaml"


@hostile(load_mapping)
def yaml_as_a_socket(folder):
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s"))
    return folder / "s"


# --------------------------------------------------------------------- HDF5
def recording(folder, **changes):
    parts = {"observations": np.ones((ROWS, 2)), "actions": np.ones((ROWS, 1)), "rewards": np.ones(ROWS)}
    parts |= {"terminals": np.zeros(ROWS, bool), "timeouts": np.zeros(ROWS, bool), **changes}
    with h5py.File(folder / "a.hdf5", "w") as file:
        for name, values in parts.items():
            if callable(values):
                values(file, name)
            else:
                file[name] = values
    return folder / "a.hdf5"


def secret(folder):
    with h5py.File(folder / "secret.hdf5", "w") as file:
        file["x"] = np.full((ROWS, 2), 42.0)
    (folder / "secret.bin").write_bytes(bytes(16 * ROWS))
    return folder


HDF5 = {
    "hdf5_link_to_another_file": lambda folder: h5py.ExternalLink(str(secret(folder) / "secret.hdf5"), "x"),
    "hdf5_link_inside": lambda folder: h5py.SoftLink("/actions"),
    "hdf5_virtual": lambda folder: lambda file, name: file.create_virtual_dataset(name, layout(folder)),
    "hdf5_stored_elsewhere": lambda folder: (
        lambda file, name: file.create_dataset(
            name, (ROWS, 2), "f8", external=[(str(secret(folder) / "secret.bin"), 0, 16 * ROWS)]
        )
    ),
    "hdf5_zeros_that_are_nowhere": lambda folder: (
        lambda file, name: file.create_dataset(name, (10**9, 2), "f8", chunks=(1000, 2), compression="gzip")
    ),
    "hdf5_one_piece_of_zeros": lambda folder: (
        lambda file, name: file.create_dataset(name, (3000, 3000), "f8", chunks=(3000, 3000), compression="gzip")
    ),
    "hdf5_group": lambda folder: lambda file, name: file.create_group(name),
    "hdf5_type": lambda folder: lambda file, name: file.__setitem__(name, np.dtype("f8")),
    "hdf5_scalar": lambda folder: 1.0,
    "hdf5_empty": lambda folder: h5py.Empty("f8"),
    "hdf5_texts": lambda folder: np.array([b"a"] * ROWS),
    "hdf5_texts_of_any_length": lambda folder: ["a"] * ROWS,
    "hdf5_lists_of_any_length": lambda folder: (
        lambda file, name: file.create_dataset(name, (ROWS,), h5py.vlen_dtype("f8"))
    ),
    "hdf5_records": lambda folder: np.zeros(ROWS, [("a", "f8"), ("b", "i4")]),
    "hdf5_complex_numbers": lambda folder: np.ones((ROWS, 2), complex),
    "hdf5_references": lambda folder: lambda file, name: file.create_dataset(name, (ROWS,), h5py.ref_dtype),
}


def layout(folder):
    made = h5py.VirtualLayout((ROWS, 2), "f8")
    made[:] = h5py.VirtualSource(str(secret(folder) / "secret.hdf5"), "x", (ROWS, 2))
    return made


for each, value in HDF5.items():
    FILES[each] = (lambda folder, value=value: recording(folder, observations=value(folder))), read_d4rl


@hostile(read_d4rl)
def hdf5_as_a_pipe(folder):
    os.mkfifo(folder / "a.hdf5")
    return folder / "a.hdf5"


# --------------------------------------------------------------------- journals, questions, pictures
def lines(name, *given):
    def make(folder):
        (folder / name).write_text("\n".join(given) + "\n")
        return folder

    return make


def pipe(name, inside=False):
    def make(folder):
        os.mkfifo(folder / name)
        return folder / name if inside else folder

    return make


def sparse(name, size=2**36):
    def make(folder):
        with (folder / name).open("wb") as file:
            file.truncate(size)
        return folder

    return make


JOURNALS = {
    "journal.jsonl": read_run,
    "gradient.jsonl": read_steps,
    "results.jsonl": lambda folder: Journal(folder / "results.jsonl", {"config": "x"}).close(),
    "mean.npy": lambda folder: load_vector(folder / "mean.npy"),
    "statistics.json": lambda folder: load_statistics(folder / "statistics.json"),
    "state.json": lambda folder: read_statistics(folder / "state.json"),
    "stages.jsonl": lambda folder: StageJournal(folder / "stages.jsonl"),
    "rows.json": lambda folder: read_rows(folder / "rows.json"),
    "rows.jsonl": lambda folder: read_rows(folder / "rows.jsonl"),
    "rows.csv": lambda folder: read_rows(folder / "rows.csv"),
    "rows.parquet": lambda folder: read_rows(folder / "rows.parquet"),
    "lines.srt": lambda folder: read_srt(folder / "lines.srt"),
    "text.txt": lambda folder: read_text(str(folder / "text.txt")),
}
for each, opens in JOURNALS.items():
    FILES[f"pipe_{each}"] = pipe(each), opens
    FILES[f"gigabytes_{each}"] = sparse(each), opens
    if each not in ("lines.srt", "text.txt", "rows.csv"):
        FILES[f"deep_{each}"] = lines(each, "[" * DEEP), opens


@hostile(read_rows)
def parquet_of_repeated_text(folder):
    import pyarrow as pa
    from pyarrow import parquet

    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), pa.array(["x" * 2**20]))
    parquet.write_table(pa.table({"question": words}), folder / "rows.parquet", compression="gzip")
    return folder / "rows.parquet"


@hostile(lambda place: render(Picture(place, "a", "a", "", False), 0))
def picture_of_gigapixels(folder):
    import zlib

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 2_000, 8, 2, 0, 0, 0)
    (folder / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    return folder / "a.png"


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def make_all(folder):
    """Makes every file; name -> path. A failure is this module's own fault."""
    paths = {}
    for name, (make, _) in FILES.items():
        (folder / name).mkdir()
        paths[name] = str(make(folder / name))
    (folder / "made.json").write_text(json.dumps(paths))


def open_all(folder):
    """Opens every file that `make_all` made; what came of it comes back on a line of its own."""
    (folder / "warm").mkdir()
    open_agent(agent(folder / "warm"))  # transformers belongs to the interpreter, not to the file that is first
    for name, path in json.loads((folder / "made.json").read_text()).items():
        before, began = peak(), time.monotonic()
        try:
            FILES[name][1](Path(path))
            said = None
        except NammError as error:
            said = str(error)
        except Exception as error:
            said = f"TRACEBACK\n{type(error).__name__}: {error}"
        result = {"said": said, "seconds": time.monotonic() - began, "mib": peak() - before}
        print(json.dumps({"name": name, "ran": (folder / name / "ran").exists(), **result}), flush=True)


def main(folder):
    torch.set_num_threads(1)
    maker = multiprocessing.get_context("fork").Process(target=make_all, args=(folder,))
    maker.start()  # what making them takes is not on this process's bill
    maker.join()
    assert maker.exitcode == 0
    open_all(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
