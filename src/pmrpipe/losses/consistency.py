"""Inverse consistency of two maps, which need not lie on grids (ICON, GradICON).

Sources: Greer et al., ICCV 2021; Tian et al., CVPR 2023. Both look at e(x) = x - ab(ba(x)) at
points between voxels: at voxels alone a rough map could hide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from pmrpipe.losses.points import points_within
from pmrpipe.losses.regularity import squared_gradient
from pmrpipe.spatial.maps import Flow, Map
from pmrpipe.spatial.warp import identity_grid


class Regulariser(Protocol):
    """A penalty, a scalar, on a map and the one of the exchanged images; `image` says the grid."""

    def __call__(self, there: Map, back: Map, image: Tensor) -> Tensor: ...


def inverse_consistency(ab: Map, ba: Map, points: Tensor) -> Tensor:
    """Mean squared component of e in voxels, of both orders, added (ICON).

    points : (B, 3, ...) in voxels of the grid that both maps are of
    """
    return _missed(ab, ba, points).square().mean() + _missed(ba, ab, points).square().mean()


def gradient_inverse_consistency(ab: Map, ba: Map, points: Tensor, step: float) -> Tensor:
    """A third of the mean squared Frobenius norm of the gradient of e (GradICON).

    By forward differences of `step` voxels at `points` (B, 3, ...); one order, ab after ba. It
    has no unit as long as voxels are isotropic.
    """
    base, total = _missed(ab, ba, points), points.new_zeros(())
    for axis in range(3):
        shift = points.new_zeros(3)
        shift[axis] = step
        moved = points + shift.view(1, 3, *[1] * (points.dim() - 2))
        total = total + ((base - _missed(ab, ba, moved)) / step).square().mean()
    return total


def _missed(outer: Map, inner: Map, points: Tensor) -> Tensor:
    return points - outer.at(inner.at(points))


def jacobian_inverse_consistency(ab: Map, ba: Map, points: Tensor) -> Tensor:
    """Mean squared entry of the Jacobian of e, the mean of both orders (NePhi).

    By autograd, so that the maps are differentiated twice.

    points : (B, 3, N) in voxels of the grid that both maps are of
    """
    return (_squared_jacobian(ab, ba, points) + _squared_jacobian(ba, ab, points)) / 2


def _squared_jacobian(outer: Map, inner: Map, points: Tensor) -> Tensor:
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        missed = _missed(outer, inner, points)
        rows = [
            torch.autograd.grad(
                missed[:, row].sum(), points, create_graph=wanted, retain_graph=True
            )
            for row in range(3)
        ]
        return torch.stack([slope for (slope,) in rows]).square().mean()


def jittered(
    shape: Sequence[int],
    stride: int = 1,
    deviation: float = 1.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Every `stride`-th voxel of a grid along each axis, with noise: (1, 3, x, y, z) in voxels.

    Noise is N(0, deviation) voxels in each component, drawn on the CPU, by torch's own generator
    if none is named: the same on every device.
    """
    points = identity_grid(shape, torch.device("cpu"), torch.float32)
    points = points[..., ::stride, ::stride, ::stride]
    return (points + deviation * torch.randn(points.shape, generator=generator)).to(device)


@dataclass(frozen=True)
class InverseConsistency:
    """`inverse_consistency` as a part: at every `stride`-th voxel, jittered by `deviation`."""

    weight: float = 1.0
    stride: int = 1
    deviation: float = 1.0

    def __call__(self, there: Map, back: Map, image: Tensor) -> Tensor:
        points = jittered(image.shape[2:], self.stride, self.deviation, device=image.device)
        return self.weight * inverse_consistency(there, back, points)


@dataclass(frozen=True)
class GradientInverseConsistency:
    """`gradient_inverse_consistency` as a part; defaults are GradICON's sparse variant."""

    weight: float = 1.5
    step: float = 0.1
    stride: int = 2
    deviation: float = 2.0

    def __call__(self, there: Map, back: Map, image: Tensor) -> Tensor:
        points = jittered(image.shape[2:], self.stride, self.deviation, device=image.device)
        return self.weight * gradient_inverse_consistency(there, back, points, self.step)


@dataclass(frozen=True)
class JacobianInverseConsistency:
    """`jacobian_inverse_consistency` as a part, at so many random points; defaults are NePhi's."""

    weight: float = 10.0
    points: int = 500

    def __call__(self, there: Map, back: Map, image: Tensor) -> Tensor:
        points = points_within(image, self.points)
        return self.weight * jacobian_inverse_consistency(there, back, points)


@dataclass(frozen=True)
class Diffusion:
    """Squared gradient of the map's displacement, or of every velocity that it flows along.

    of : "displacement", or "velocity", each of which counts once
    """

    weight: float = 1.0
    of: str = "displacement"

    def __call__(self, there: Map, back: Map, image: Tensor) -> Tensor:
        if self.of == "displacement":
            return self.weight * squared_gradient(there.on(image.shape[2:], image.device))
        flows = {id(part): part for part in there.parts() if isinstance(part, Flow)}
        fields = [flow.velocity for flow in flows.values() if flow.velocity is not None]
        return self.weight * sum((squared_gradient(v) for v in fields), image.new_zeros(()))
