"""A network that learns what another method does: its displacement on training pairs."""

from __future__ import annotations

from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import NetworkMethod


class Imitation(NetworkMethod):
    """Supervised registration: the mean absolute difference to a teacher's displacement.

    Parameters
    ----------
    steps : moving and fixed to `Maps`, such as `Step`
    """

    learns_contrasts = True

    def __init__(self, steps: nn.Module, network_mm: float | None = None) -> None:
        super().__init__(network_mm)
        self.steps = steps

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """A displacement alone, without an inverse of its own."""
        maps = self.in_precision(self.steps, moving, fixed)
        return Deformation(maps.there.on(grid.shape, fixed.device), grid)

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Sum over the components of |u - target|, in voxels, its mean over what counts.

        Raises
        ------
        ValueError : a batch without a teacher's deformation
        """
        if not isinstance(batch.target, Deformation):
            raise ValueError("a batch without the deformation of a teacher")
        own = self.deform(batch.moving, batch.fixed, batch.grid).displacement
        missed = (own - batch.target.displacement).abs().sum(1, keepdim=True)
        if batch.where is None:
            return {"total": missed.mean()}
        return {"total": (missed * batch.where).sum() / batch.where.sum().clamp(min=1e-6)}
