"""Makes every hostile file and opens each in this process, to see what it costs: run by `test_trust_hostile.py`."""

import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import torch

from hostile import archives, arrays, configurations, models, policies, records  # noqa: F401  they fill the table
from hostile.kinds import FILES
from hostile.models import agent, open_agent
from namm_xmodal.errors import NammError


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
