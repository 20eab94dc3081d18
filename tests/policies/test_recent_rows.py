"""The ring of the newest rows."""

import torch

from namm_xmodal.policies.recent_rows import recall, remember


def test_the_ring_holds_the_newest_rows_in_order():
    rows = torch.rand(1, 2, 40, 6)
    for tile in (1, 3, 7, 16, 40):
        ring = torch.zeros(1, 2, 5, 6)
        for start in range(0, 40, tile):
            remember(ring, rows[:, :, start : start + tile], start)
            seen = min(40, start + tile)
            assert torch.equal(recall(ring, seen), rows[:, :, max(0, seen - 5) : seen])


def test_narrow_rows_leave_zeros_behind():
    ring = torch.ones(1, 1, 4, 6)
    remember(ring, torch.full((1, 1, 2, 3), 2.0), 8)
    assert ring[0, 0, 0].tolist() == ring[0, 0, 1].tolist() == [2, 2, 2, 0, 0, 0]
    assert ring[0, 0, 2:].eq(1).all()


def test_other_precisions_are_taken():
    ring = torch.zeros(1, 1, 4, 2)
    remember(ring, torch.ones(1, 1, 3, 2, dtype=torch.bfloat16), 0)
    assert recall(ring, 3).sum() == 6
