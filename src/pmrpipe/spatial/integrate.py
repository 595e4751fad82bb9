"""From a stationary velocity to the displacement at time 1."""

from __future__ import annotations

from torch import Tensor

from pmrpipe.spatial.compose import compose


def integrate(velocity: Tensor, steps: int = 7) -> Tensor:
    """Scaling and squaring (Arsigny et al., MICCAI 2006): exp(v) by `steps` squarings.

    `velocity` (B, 3, X, Y, Z) in voxels per unit time; the inverse is integrate(-velocity).
    """
    displacement = velocity / 2**steps
    for _ in range(steps):
        displacement = compose(displacement, displacement)
    return displacement
