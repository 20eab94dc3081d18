"""One thread and no gradients for every test: results do not depend on the machine's cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _no_gradients(request):
    if "with_gradients" in request.keywords:
        yield
        return
    with torch.no_grad():
        yield
