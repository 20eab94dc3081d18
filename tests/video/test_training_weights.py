"""How answers of each kind weigh while the small video model trains."""

import pytest
import torch

from namm_xmodal.training.llava_small.recipe import Recipe
from namm_xmodal.training.llava_small.train import given_weights, weights_of_kinds
from namm_xmodal.video.procedural.words import KINDS

NEEDLE, COUNT = KINDS.index("needle"), KINDS.index("count")


def test_kinds_weigh_by_their_loss_within_bounds():
    losses, kinds = torch.tensor([9.0, 9.0, 1.0, 1.0]), torch.tensor([NEEDLE, NEEDLE, COUNT, COUNT])
    assert weights_of_kinds(losses, kinds, 4.0).tolist() == pytest.approx([1.8, 1.8, 0.5, 0.5])
    assert weights_of_kinds(losses, kinds, 1.5).tolist() == pytest.approx([1.5, 1.5, 0.5, 0.5])


def test_given_weights_do_not_depend_on_the_loss():
    kinds = torch.tensor([NEEDLE, COUNT, NEEDLE])
    for losses in (torch.zeros(3), torch.tensor([1.0, 5.0, 9.0])):
        assert given_weights({"needle": 8.0}, losses, kinds).tolist() == [8.0, 1.0, 8.0]


def test_the_recipe_weighs_only_kinds_that_there_are():
    assert set(Recipe().closing_weights) <= set(KINDS)
