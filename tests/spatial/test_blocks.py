"""Blocks cover a grid once, see their neighbours, and give what the whole gives."""

import pytest
import torch

from pmrpipe.spatial.blocks import blocks, is_large, sampled
from pmrpipe.spatial.integrate import invert
from pmrpipe.spatial.jacobian import jacobian_determinant, lowest_jacobian
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

SHAPES = [(7, 12, 31), (1, 5, 9), (20, 20, 20), (33, 2, 8)]


def random_field(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reach", [0, 1, 4])
@pytest.mark.parametrize("edge", [1, 5, 9, 40])
def test_cores_cover_the_grid_once_and_the_wide_parts_see_the_reach(shape, reach, edge):
    counts = torch.zeros(shape, dtype=torch.int64)
    places = torch.arange(counts.numel()).view(1, 1, *shape)
    for block in blocks(shape, reach, edge):
        counts[block.core] += 1
        assert torch.equal(block.kept(block.seen(places)), places[(..., *block.core)])
        assert block.voxels == counts[block.core].numel() <= edge**3
        for core, wide, size in zip(block.core, block.wide, shape, strict=True):
            assert wide.start == max(core.start - reach, 0)
            assert wide.stop == min(core.stop + reach, size)
    assert (counts == 1).all()


def test_edges_are_nearly_equal():
    sizes = {tuple(s.stop - s.start for s in b.core) for b in blocks((100, 97, 30), 3, 32)}
    assert sizes == {(25, y, 30) for y in (24, 25)}


def test_what_is_large():
    assert is_large((3, 3, 3), 26)
    assert not is_large((3, 3, 3), 27)


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_a_block_samples_the_whole_image(padding):
    """Also where the displacement leads out of the block, or out of the image."""
    image, displacement = random_field(2, 21, 18, 25), 6 * random_field(3, 21, 18, 25, seed=1)
    whole = warp(image, displacement, padding=padding)
    for block in blocks(image.shape[2:], 2, 8):
        part = sampled(image, block, block.seen(displacement), padding)
        assert torch.allclose(part, block.seen(whole), atol=1e-4)


def test_jacobian_and_inverse_of_a_large_grid(monkeypatch):
    displacement = smoothed(10 * random_field(3, 40, 36, 30), 3.0)
    lowest, inverse = jacobian_determinant(displacement).min(), invert(displacement)
    for module in ("jacobian", "integrate"):
        monkeypatch.setattr(f"pmrpipe.spatial.{module}.is_large", lambda shape: True)
        monkeypatch.setattr(
            f"pmrpipe.spatial.{module}.blocks", lambda shape, reach: blocks(shape, reach, 11)
        )
    assert lowest_jacobian(displacement) == lowest
    assert torch.allclose(invert(displacement), inverse, atol=1e-5)
