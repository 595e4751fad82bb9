"""FAIM: fast alignment with an anti-folding penalty (Kuang & Schmah 2018)."""

from __future__ import annotations

from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.regularity import folding, squared_gradient
from pmrpipe.losses.similarity import Similarity
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.spatial.resize import crop


class Faim(NetworkMethod):
    """A displacement at full resolution, not integrated, with penalties that keep it regular.

    Parameters
    ----------
    network : moving and fixed to a displacement in voxels, such as `FaimNetwork`
    image : similarity of fixed and warped image
    smooth : weight of the mean squared gradient of the displacement
    fold : weight of the sum of (|det J| - det J) / 2, with the true determinant
    """

    def __init__(
        self,
        network: nn.Module,
        image: Similarity,
        smooth: float = 1.0,
        fold: float = 1e-3,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network, self.image = network, image
        self.smooth, self.fold = smooth, fold

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """A displacement alone, without an inverse of its own."""
        return Deformation(crop(self.predict(moving, fixed), moving.shape[2:]), grid)

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Dissimilarity of the images, smoothness and folding."""
        deformation = self.deform(batch.moving, batch.fixed, batch.grid)
        image = self.image(batch.fixed, deformation.apply(batch.moving))
        smooth = self.smooth * squared_gradient(deformation.displacement)
        fold = self.fold * folding(deformation.displacement)
        return {"image": image, "smooth": smooth, "fold": fold, "total": image + smooth + fold}
