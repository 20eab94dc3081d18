"""HDF5."""

import os

import h5py
import numpy as np

from hostile.kinds import FILES, hostile
from namm_xmodal.envs.d4rl_hdf5 import read_d4rl

ROWS = 20


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
