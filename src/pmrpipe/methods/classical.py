"""Methods without a network: affine alone, and ANTs SyN."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.methods.base import Deformation
from pmrpipe.volume import Grid

if TYPE_CHECKING:
    from torch import Tensor


class AffineOnly:
    """No deformation: what the affine normalisation alone gives."""

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Identity on `grid`; `moving` and `fixed` are (1, 1, X, Y, Z)."""
        return Deformation(fixed.new_zeros(1, 3, *grid.shape), grid)


class AntsSyN:
    """SyN of ANTs by antspyx (Avants et al., Medical Image Analysis 12, 2008).

    Parameters
    ----------
    transform : antspyx's `type_of_transform`; "SyN" is its default: an affine of the pair, then
        SyN with Mattes mutual information and 40, 20, 0 iterations
    seed : random seed of the metric's sampling
    options : further keywords of `ants.registration`
    """

    def __init__(self, transform: str = "SyN", seed: int = 2019, **options: Any) -> None:
        self.transform, self.seed, self.options = transform, seed, options

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images; affine and warp come back as one field on `grid`.

        Bit-identical on a second run only with ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1.
        """
        import ants
        import torch

        from pmrpipe.transforms import read_field

        # antspyx 0.6.3 ignores registration(random_seed=...): it takes the seed from here alone.
        ants.config._random_seed = self.seed
        target, source = (_ants_image(image, grid) for image in (fixed, moving))
        with tempfile.TemporaryDirectory(prefix="pmrpipe-syn-") as folder:
            found = ants.registration(
                target,
                source,
                type_of_transform=self.transform,
                outprefix=str(Path(folder) / "syn"),
                **self.options,
            )
            composite = ants.apply_transforms(
                target, source, found["fwdtransforms"], compose=str(Path(folder) / "composite")
            )
            field, _ = read_field(composite)
        voxels = field @ np.linalg.inv(grid.affine[:3, :3]).T
        displacement = torch.from_numpy(np.ascontiguousarray(voxels.transpose(3, 0, 1, 2)))
        return Deformation(displacement[None].float(), grid)


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
