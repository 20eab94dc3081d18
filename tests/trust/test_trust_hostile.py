"""Every hostile file is refused in one line, within seconds, in little memory, and runs nothing."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from hostile import archives, arrays, configurations, models, policies, records  # noqa: F401  they fill the table
from hostile.kinds import FILES

SECONDS = 10
MEBIBYTES = 1024
SAID = {
    "pickled_objects_out_of_raw_bytes": "an array of type 'O8', expected plain numbers",
    "pickled_type_with_a_false_state": "an array of type 'f8', expected plain numbers",
    "pickled_array_of_another_shape": "an array whose shape does not match its bytes",
    "archive_of_zeros": "policy.pth has 1,153,433,600 bytes unpacked, expected at most 67,108,864",
    "archive_with_a_table_of_contents_of_megabytes": "a table of contents of",
    "policy_with_a_transform_of_terabytes": "config.json: features 'spectrogram': n_fft=200000",
    "policy_weights_with_a_header_of_megabytes": "a header of 87,388,898 bytes",
    "published_policy_as_a_pipe": "it is a named pipe; expected a ckpt.pt of the published code",
    "published_policy_that_calls": "it refers to posix.system",
    "agent_with_wide_layers": "describes a model of",
    "agent_with_a_file_for_an_option": "namm_xmodal.options=",
    "language_model_with_code": "needs its own code, which is never run",
    "language_model_of_terabytes": "its files hold 76; expected the configuration that the weights were saved with",
    "yaml_aliases_of_lists": "not valid YAML: more than 20,000 keys and values, aliases unfolded (line 5",
    "yaml_deep_lists": "not valid YAML: more than 32 lists and mappings within one another",
    "yaml_long_chain_of_files": "extends more than 32 files",
    "yaml_circle_of_files": "extends itself (a.yaml -> b.yaml -> a.yaml)",
    "hdf5_link_to_another_file": "observations is a link to another place",
    "hdf5_virtual": "observations lies in another file",
    "hdf5_stored_elsewhere": "observations lies in another file",
    "hdf5_zeros_that_are_nowhere": "observations of shape (1000000000, 2) is larger than a file of this size accounts for",
    "hdf5_references": "observations is of object, expected numbers",
    "picture_of_gigapixels": "pixel",
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" not in os.environ:
        lines = open_in_a_child(base / "hostile")
    else:  # workers share what one of them found
        with FileLock(base.parent / "hostile.lock"):
            shared = base.parent / "hostile.jsonl"
            lines = shared.read_text() if shared.exists() else open_in_a_child(base / "hostile")
            shared.write_text(lines)
    found = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    return {each["name"]: each for each in found}


def open_in_a_child(folder):
    folder.mkdir()
    tests, command = Path(__file__).parents[1], [sys.executable, "-m", "hostile", folder]
    path = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    shutil.rmtree(folder)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


@pytest.mark.parametrize("name", list(FILES))
def test_a_hostile_file_is_refused_in_one_line(opened, name):
    found = opened[name]
    assert found["said"], "it was opened"
    assert "\n" not in found["said"]
    assert SAID.get(name, "") in found["said"]
    assert not found["ran"]
    assert found["seconds"] < SECONDS
    assert found["mib"] < MEBIBYTES
