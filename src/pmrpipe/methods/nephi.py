"""NePhi: the map is a neural field, compared and regularised at single points.

Source: Tian et al., ECCV 2024. Two fields with weights of their own, one for each direction,
share the codes of the pair; the fields know no grid, so that memory grows with the points and not
with the image.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.consistency import Regulariser
from pmrpipe.losses.points import correlation_at, points_inside, points_within
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import ConsistentPair, Deformation
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.networks.neural_field import Codes, KnownCodes
from pmrpipe.spatial.maps import Map, Pointwise, on_in_chunks
from pmrpipe.spatial.standardise import locally_standardised

# Points of a grid that go through the fields at once.
_CHUNK = 20_000


class NePhi(NetworkMethod):
    """Codes from an encoder, two fields, and an objective at random points.

    Parameters
    ----------
    encoder : moving and fixed to `Codes`
    there, back : a field for each direction: points and codes to displacements
    regulariser : on the maps of both directions
    points : at which the images are compared, each way
    inside : whether these lie in the brain (of the image that they are points of), or anywhere
    window : edge of the cube (voxels, odd) within which the compared images are standardised; 0:
        not
    prior : weight of the codes' mean lengths
    """

    def __init__(
        self,
        encoder: nn.Module,
        there: nn.Module,
        back: nn.Module,
        regulariser: Regulariser,
        points: int = 20_000,
        inside: bool = True,
        window: int = 0,
        prior: float = 0.01,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.encoder, self.there, self.back = encoder, there, back
        self.regulariser, self.prior = regulariser, prior
        self.points, self.inside, self.window = points, inside, window

    def codes(self, moving: Tensor, fixed: Tensor) -> Codes:
        """Of the ordered pair."""
        return self.in_precision(self.encoder, moving, fixed)

    def maps(self, codes: Codes, shape: torch.Size) -> tuple[Map, Map]:
        """Both directions, in voxels of a grid of `shape`."""
        return self._map(self.there, codes, shape), self._map(self.back, codes, shape)

    def _map(self, field: nn.Module, codes: Codes, shape: torch.Size) -> Map:
        def function(points: Tensor) -> Tensor:
            far = points.new_tensor([max(n - 1, 1) for n in shape]).view(1, 3, 1)
            flat = points.flatten(2).expand(codes.whole.shape[0], -1, -1)
            unit = 2 * flat / far - 1
            moved = flat + field(unit, codes.at(unit)) * far / 2
            return moved.reshape(-1, *points.shape[1:])

        return Pointwise(function)

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Both fields at every voxel, a chunk of points after the other."""
        maps = self.maps(self.codes(moving, fixed), fixed.shape[2:])
        there, back = (on_in_chunks(m, grid.shape, fixed.device, _CHUNK) for m in maps)
        return Deformation(there, grid, ConsistentPair(back))

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Dissimilarity at points, mean of both ways; consistency; length of the codes."""
        codes = self.codes(batch.moving, batch.fixed)
        there, back = self.maps(codes, batch.fixed.shape[2:])
        moving, fixed = batch.moving, batch.fixed
        terms = {
            "image": self._dissimilarity(there, moving, fixed) / 2,
            "image_back": self._dissimilarity(back, fixed, moving) / 2,
            "inverse": self.regulariser(there, back, fixed),
            "prior": self.prior * (codes.whole.norm(dim=1).mean() + codes.local.norm(dim=1).mean()),
        }
        return terms | {"total": torch.stack(list(terms.values())).sum()}

    def _dissimilarity(self, map_: Map, moving: Tensor, fixed: Tensor) -> Tensor:
        if self.inside:
            points = points_inside(fixed, self.points)
        else:
            points = points_within(fixed, self.points)
        if self.window:
            moving, fixed = (locally_standardised(x, self.window) for x in (moving, fixed))
        return 1 - correlation_at(moving, fixed, map_, points)

    def for_pair(self, moving: Tensor, fixed: Tensor) -> NePhi:
        """The fields and the codes of this pair as weights; the encoder is left out."""
        with torch.no_grad():
            known = KnownCodes(self.codes(moving, fixed))
        return copy.deepcopy(self, {id(self.encoder): known})
