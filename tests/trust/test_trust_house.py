"""Untrusted files are opened in `namm_xmodal/trust` only; what else parses is listed here, with the reason."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "json.load", "json.loads", "yaml.load", "yaml.safe_load", "pickle.load", "pickle.loads", "torch.load", "np.load",
    "h5py.File", "safe_open", "load_file", "zipfile.ZipFile", "tarfile.open", "parquet.read_table", "Image.open",
    "AutoConfig.from_pretrained", "AutoTokenizer.from_pretrained", "AutoProcessor.from_pretrained",
    "AutoModelForCausalLM.from_pretrained", "snapshot_download", "hf_hub_download", "gymnasium.make",
    "importlib.import_module", "import_module", "eval", "exec",
}  # fmt: skip
ALLOWED = {
    "__init__.py": "names of this package",
    "envs/environments.py": "checks the id; a module that the user allowed",
    "envs/positions.py": "an id of ours",
    "envs/published.py": "a file of this package",
    "extras.py": "optional dependencies of this package",
    "evolution/journal.py": "its own text, back and forth",
    "language/converted_weights.py": "weights of a fixed hash",
    "language/registry_weights.py": "packages of a fixed hash",
    "language/suites/hub.py": "fetches data files, which trust then reads",
    "policies/namm/store.py": "fetches two files, which are then checked",
    "video/composed/render.py": "inside of trust's checks of size",
    "video/frame_cache.py": "the user's own cache",
    "plugins.py": "files that the user named; its own text, back and forth",
    "training/llava_small/snapshot.py": "checked by trust first",
    "video/parts/tower_weights.py": "weights of a fixed hash",
    "workers/messages.py": "between processes of one run",
    "workers/processes.py": "between processes of one run",
    "workers/ray_actors.py": "between processes of one run",
}


def test_files_are_parsed_in_one_place():
    found = set()
    for folder in (ROOT / "namm_xmodal", ROOT / "adapters", ROOT / "envs", ROOT / "video"):
        for path in folder.rglob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text()))
            if FORBIDDEN & {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}:
                found.add(path.relative_to(ROOT).as_posix().removeprefix("namm_xmodal/"))
    assert {name for name in found if not name.startswith("trust/")} == set(ALLOWED)
