"""Geometry on tensors: grids, warps, integration, composition, inversion, Jacobians. No files.

Images are (B, C, X, Y, Z). A displacement is (B, 3, X, Y, Z) in voxels of its own grid, channel
order x, y, z = array axes 0, 1, 2, and pulls back: warped(p) = moving(p + u(p)).
"""

from pmrpipe.spatial.compose import compose, invert
from pmrpipe.spatial.grid import identity_grid
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.jacobian import jacobian_determinant
from pmrpipe.spatial.resize import enlarge, resize_displacement, resize_image
from pmrpipe.spatial.warp import warp, warp_labels

__all__ = [
    "compose",
    "enlarge",
    "identity_grid",
    "integrate",
    "invert",
    "jacobian_determinant",
    "resize_displacement",
    "resize_image",
    "warp",
    "warp_labels",
]
