"""What a training step shows a method, both ways round."""

import pytest
import torch

from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import ConsistentPair, Deformation
from tests.helpers.parts import grid_of

MOVING, FIXED = torch.zeros(1, 1, 4, 4, 4), torch.ones(1, 1, 4, 4, 4)
GRID = grid_of(MOVING)


def test_both_ways_the_second_half_is_the_first_exchanged():
    shift = torch.full((1, 3, 4, 4, 4), 0.5)
    target = Deformation(shift, GRID, ConsistentPair(-shift))
    both = Batch(MOVING, FIXED, GRID, target, where=FIXED).both_ways()
    assert torch.equal(both.moving, torch.cat([MOVING, FIXED]))
    assert torch.equal(both.fixed, torch.cat([FIXED, MOVING]))
    assert torch.equal(both.target.displacement, torch.cat([shift, -shift]))
    assert torch.equal(both.target.inverse().displacement, torch.cat([-shift, shift]))
    assert both.where is None


def test_a_target_without_an_inverse_cannot_be_learned_both_ways():
    with pytest.raises(ValueError, match="both ways"):
        Batch(MOVING, FIXED, GRID, {"white": MOVING}).both_ways()
