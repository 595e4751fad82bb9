"""Methods without a network: affine alone, and ANTs SyN."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.base.seed import SEED
from pmrpipe.images.volume import Grid, Volume
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.lesions import Lesions

if TYPE_CHECKING:
    from torch import Tensor


class AffineOnly:
    """No deformation: what the affine normalisation alone gives."""

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Identity on `grid`; `moving` and `fixed` are (1, 1, X, Y, Z)."""
        return Deformation(fixed.new_zeros(1, 3, *grid.shape), grid)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same: nothing is compared."""
        return self.register(moving, fixed, grid)


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

    def __init__(self, seed: int = SEED, **options: Any) -> None:
        self.seed, self.options = seed, options

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images.

        Bit-identical on a second run only with ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS=1.
        """
        return self.register_around(moving, fixed, grid, Lesions())

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same with ANTs' masks: its metric counts no voxel of a lesion."""
        import ants

        from pmrpipe.images.itk import to_ants
        from pmrpipe.images.transforms import read_field

        keep_freed_memory()
        # antspyx 0.6.3 ignores registration(random_seed=...): it takes the seed from here alone.
        ants.config._random_seed = self.seed
        target, source = (
            to_ants(Volume(image[0, 0].cpu().numpy(), grid.affine), ants)
            for image in (fixed, moving)
        )
        masks = {
            name: to_ants(Volume((1 - share[0, 0]).cpu().numpy().round(), grid.affine), ants)
            for name, share in (("mask", lesions.fixed), ("moving_mask", lesions.moving))
            if share is not None
        }
        with tempfile.TemporaryDirectory(prefix="pmrpipe-syn-") as folder:
            written = ants.registration(
                target,
                source,
                type_of_transform="SyNOnly",
                initial_transform="Identity",
                outprefix=str(Path(folder) / "syn"),
                **masks,
                **self.options,
            )
            # The affine beside each warp stays at the identity.
            warps = (written["fwdtransforms"][0], written["invtransforms"][1])
            there, back = (read_field(path)[0] for path in warps)
        return Deformation.from_millimetres(there, grid, back)
