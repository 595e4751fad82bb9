"""Step networks whose maps are held inversely consistent, all of it from the YAML's parts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.consistency import Regulariser
from pmrpipe.losses.similarity import Similarity
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import ConsistentPair, Deformation
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.spatial.maps import Map


class Consistent(NetworkMethod):
    """A step, or steps joined by operators, its similarity and its regularisers.

    Where the steps do not give the inverse by construction, the way back is what they say of the
    exchanged images: a second pass, and a regulariser has to hold both together.

    Parameters
    ----------
    steps : moving and fixed to `Maps`, such as `Step`, `Then`, `Halfway`
    similarity : of an image and the one warped onto it; both directions are added
    regularisers : by name, each a penalty on the maps of both directions
    """

    def __init__(
        self,
        steps: nn.Module,
        similarity: Similarity,
        regularisers: Mapping[str, Regulariser] | None = None,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.steps, self.similarity = steps, similarity
        self.regularisers = dict(regularisers or {})

    def maps(self, moving: Tensor, fixed: Tensor) -> tuple[Map, Map]:
        """Both directions, in voxels of the images' grid; networks run in `precision`."""
        kind, half = moving.device.type, self.precision
        with torch.autocast(kind, half or torch.bfloat16, enabled=half is not None):
            maps = self.steps(moving, fixed)
            back = maps.back if maps.back is not None else self.steps(fixed, moving).there
        return maps.there, back

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The map on the grid, and the method's own way back with it."""
        there, back = (m.on(grid.shape, fixed.device) for m in self.maps(moving, fixed))
        return Deformation(there, grid, ConsistentPair(back))

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Dissimilarity both ways, and each regulariser under its name."""
        moving, fixed = batch.moving, batch.fixed
        there, back = self.maps(moving, fixed)
        terms = {
            "image": self.similarity(fixed, there.apply(moving)),
            "image_back": self.similarity(moving, back.apply(fixed)),
        }
        for name, regulariser in self.regularisers.items():
            terms[name] = regulariser(there, back, fixed)
        return terms | {"total": torch.stack(list(terms.values())).sum()}
