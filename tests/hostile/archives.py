"""Archives of stable-baselines3 and numpy: pickles, tensors and zeros."""

import os
import pickle
import struct
import zipfile

import numpy as np
import torch

from hostile.kinds import DEEP, Call, hostile
from namm_xmodal.envs.behaviour.archives import read_archive
from namm_xmodal.envs.behaviour.policy import read_npz


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
