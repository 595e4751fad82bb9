"""Methods without a network: affine alone, and ANTs SyN."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.volume import Grid
from pmrpipe.methods.deformation import Deformation

if TYPE_CHECKING:
    from torch import Tensor


class AffineOnly:
    """No deformation: what the affine normalisation alone gives."""

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Identity on `grid`; `moving` and `fixed` are (1, 1, X, Y, Z)."""
        return Deformation(fixed.new_zeros(1, 3, *grid.shape), grid)


class AntsSyN:
    """SyN of ANTs by antspyx (Avants et al., Medical Image Analysis 12, 2008).

    It starts where every method starts, from the affine normalisation: the antspyx default
    `SyN` without the affine of the pair that it puts first.

    Parameters
    ----------
    seed : random seed of the metric's sampling
    options : further keywords of `ants.registration`; without any, Mattes mutual information and
        40, 20 and 0 iterations
    """

    def __init__(self, seed: int = 2019, **options: Any) -> None:
        self.seed, self.options = seed, options

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images.

        Bit-identical on a second run only with ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1.
        """
        import ants

        from pmrpipe.images.transforms import read_field

        keep_freed_memory()
        # antspyx 0.6.3 ignores registration(random_seed=...): it takes the seed from here alone.
        ants.config._random_seed = self.seed
        target, source = (_ants_image(image, grid) for image in (fixed, moving))
        with tempfile.TemporaryDirectory(prefix="pmrpipe-syn-") as folder:
            found = ants.registration(
                target,
                source,
                type_of_transform="SyNOnly",
                initial_transform="Identity",
                outprefix=str(Path(folder) / "syn"),
                **self.options,
            )
            # The affine beside each warp stays at the identity.
            warps = (found["fwdtransforms"][0], found["invtransforms"][1])
            there, back = (_voxels(read_field(path)[0], grid) for path in warps)
        return Deformation(there, grid, backward=back)


def _voxels(field: np.ndarray, grid: Grid) -> Tensor:
    """(X, Y, Z, 3) in RAS mm to (1, 3, X, Y, Z) in voxels of `grid`."""
    import torch

    voxels = field @ np.linalg.inv(grid.affine[:3, :3]).T.astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(voxels.transpose(3, 0, 1, 2)))[None]


def _ants_image(image: Tensor, grid: Grid) -> Any:
    import ants

    # ITK's world is LPS: x and y change their sign.
    flip = np.diag([-1.0, -1.0, 1.0])
    return ants.from_numpy(
        image[0, 0].cpu().numpy(),
        origin=list(flip @ grid.affine[:3, 3]),
        spacing=list(grid.spacing),
        direction=flip @ (grid.affine[:3, :3] / np.asarray(grid.spacing)),
    )
