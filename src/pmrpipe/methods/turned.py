"""Random turns inside a registration while it is trained (CARL{ROT}, Greer et al., CVPR 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pmrpipe.methods.operators import both_ways
from pmrpipe.methods.steps import Maps, Registration
from pmrpipe.spatial.maps import Affine, composed


class Turned(Registration):
    """R ∘ step[A∘R, B∘S] ∘ S^-1 in training, with R and S drawn anew; in use the step alone.

    The step sees turned images, and what judges its maps sees them turned back.

    Parameters
    ----------
    step : what is trained
    spread : deviation of a rotation's three angles in radian, before they wind around: with the
        published 13 all axes and all angles are about equally likely
    noise : deviation of the entries of the generator of a further affine
    """

    def __init__(self, step: nn.Module, spread: float = 13.0, noise: float = 0.0) -> None:
        super().__init__()
        self.step, self.spread, self.noise = step, spread, noise

    @property
    def consistent(self) -> bool:
        return isinstance(self.step, Registration) and self.step.consistent

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        if not self.training:
            return self.step(moving, fixed)
        (r, r_back), (s, s_back) = (self._drawn(image) for image in (moving, fixed))
        maps = self.step(Affine(r).apply(moving), Affine(s).apply(fixed))
        return _turned_back(maps, (r, r_back), (s, s_back))

    def both(self, moving: Tensor, fixed: Tensor) -> Maps:
        if not self.training:
            return both_ways(self.step, moving, fixed)
        (r, r_back), (s, s_back) = (self._drawn(image) for image in (moving, fixed))
        maps = both_ways(self.step, Affine(r).apply(moving), Affine(s).apply(fixed))
        first = torch.cat([r, s]), torch.cat([r_back, s_back])
        return _turned_back(maps, first, tuple(m.roll(len(moving), 0) for m in first))

    def _drawn(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """A turn of each image about the grid's centre, in voxels (B, 4, 4), and its inverse."""
        shape, count = image.shape[2:], image.shape[0]
        angles = self.spread * torch.randn(count, 3, 3)
        entries = self.noise * torch.randn(count, 3, 4)
        edges = torch.tensor([[n - 1.0] for n in shape])
        turn = _about_centre((angles - angles.transpose(1, 2)) / 2**0.5, edges)
        change = _about_centre(entries[:, :, :3], edges, entries[:, :, 3:] * edges)
        exp = torch.linalg.matrix_exp
        there, back = exp(turn) @ exp(change), exp(-change) @ exp(-turn)
        return there.to(image.device), back.to(image.device)


def _about_centre(linear: Tensor, edges: Tensor, shift: Tensor | None = None) -> Tensor:
    """Generator (B, 4, 4) of an affine that leaves the grid's centre, but for `shift`, in place."""
    moved = -linear @ (edges / 2)
    moved = moved if shift is None else moved + shift
    return F.pad(torch.cat([linear, moved], 2), [0, 0, 0, 1])


def _turned_back(maps: Maps, moving: Sequence[Tensor], fixed: Sequence[Tensor]) -> Maps:
    """Maps of turned images as maps of the images; each has its turn and the inverse of it."""
    there = composed(Affine(moving[0]), maps.there, Affine(fixed[1]))
    if maps.back is None:
        return Maps(there)
    return Maps(there, composed(Affine(fixed[0]), maps.back, Affine(moving[1])))
