"""Methods that were made for one contrast, on pairs of two."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pmrpipe.methods.classical import AffineOnly, AntsSyN
from pmrpipe.methods.contrast import likened
from pmrpipe.methods.lesions import Lesions, register_around
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.refine import Greedy, Refined

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.images.volume import Grid
    from pmrpipe.methods.deformation import Deformation


class Likening:
    """A method on images that are made alike first, as the affine normalisation left them."""

    def __init__(self, method: Method) -> None:
        self.method = method

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images of two contrasts."""
        return self.method.register(*likened(moving, fixed)(moving, fixed), grid)

    def register_around(
        self, moving: Tensor, fixed: Tensor, grid: Grid, lesions: Lesions
    ) -> Deformation:
        """The same around lesions, which say nothing of how the contrasts are related."""
        seen = lesions.counted(fixed) > 0.5
        alike = likened(moving, fixed, seen)(moving, fixed)
        return register_around(self.method, "method", *alike, grid, lesions)


def across(method: Method) -> Method:
    """The method for pairs of two contrasts.

    Instance optimisation compares self-similarities; for others the images are made alike first.
    ANTs keeps its own similarity, a network that was trained on two contrasts what it has learned.
    """
    if isinstance(method, Refined):
        plan = replace(method.plan, across=True)
        return Refined(across(method.method), plan, method.tell)
    if isinstance(method, Greedy):
        return Greedy(**{**vars(method.plan), "across": True})
    if isinstance(method, (AffineOnly, AntsSyN)) or getattr(method, "crosses", False):
        return method
    return Likening(method)
