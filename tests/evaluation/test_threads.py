"""Every section runs with as many threads as it says, in this process and in workers, and the process has its own back."""

import pytest
import torch
from evaluations import make

from namm_xmodal.evaluation.plan import make_plan
from namm_xmodal.evaluation.runner import SectionWorker
from namm_xmodal.evaluation.threads import threads
from namm_xmodal.modalities.table import MODALITIES

TASK = {"task": "next_token", "n": 1, "length": [256]}


def test_the_process_has_its_own_back():
    before = torch.get_num_threads()
    with threads(3):
        assert torch.get_num_threads() == 3
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", ["language", "rl"])
def test_a_worker_uses_what_its_section_says(name, monkeypatch):
    chosen = {
        "language": {
            "model": "tiny-random",
            "update_every": 64,
            "tasks": {"next_token": {"task": "next_token", "n": 1, "length": [256]}},
        },
        "rl": {"model": "tmaze", "model_seeds": [0], "episodes": 1},
    }[name]
    config = make(policies={"full": {"policy": "full"}}, **{name: {**chosen, "threads": 2}})
    (section,) = make_plan(config, MODALITIES)
    seen = []
    with threads(1):
        worker = SectionWorker(name, section.place, section.modality, section.section, section.digest, section.first)
        monkeypatch.setattr(type(section.modality), "open", lambda self, section: seen.append(torch.get_num_threads()))
        worker.open()
    assert seen == [2]
