"""Maps of points: functions that can be evaluated anywhere, not at voxels alone.

Points are (B, 3, ...) in voxels of a grid, and so are what they are mapped to. A map is evaluated
in float32 (float64 points: in float64), under autocast too: half precision would be coarser than
the steps of finite differences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.precision import exact
from pmrpipe.spatial.resize import rescale_points
from pmrpipe.spatial.warp import identity_grid, sample, warp


class Map(ABC):
    """A function from points of the fixed image to points of the moving one."""

    def at(self, points: Tensor) -> Tensor:
        """Where `points` (B, 3, ...) are mapped to; a batch of one stands for all."""
        points = _exact(points)
        with exact(points.device):
            return self._at(points)

    @abstractmethod
    def _at(self, points: Tensor) -> Tensor: ...

    def on(self, shape: Sequence[int], device: torch.device | str) -> Tensor:
        """Displacement (B, 3, X, Y, Z) at every voxel of a grid of `shape`, in its voxels."""
        points = identity_grid(shape, torch.device(device), torch.float32)
        return self.at(points) - points

    def apply(self, image: Tensor, padding: str = "zeros") -> Tensor:
        """`image` (B, C, X, Y, Z) at the mapped points of its grid, trilinearly, float32."""
        displacement = self.on(image.shape[2:], image.device)
        image = _exact(image).expand(displacement.shape[0], -1, -1, -1, -1)
        with exact(image.device):
            displacement = displacement.expand(image.shape[0], -1, -1, -1, -1)
            return warp(image, displacement, padding=padding)

    def parts(self) -> Iterator[Map]:
        """The maps that this one is put together from: by itself, it alone."""
        yield self

    @abstractmethod
    def take(self, batch: slice) -> Map:
        """The map of a part of the batch; a batch of one stands for all."""


@dataclass(frozen=True, eq=False)
class Sampled(Map):
    """A displacement field, interpolated trilinearly between its voxels; on its grid as it is.

    displacement : (B, 3, X, Y, Z) in voxels of its own grid, in which the points are too
    extrapolation : outside the grid "border" repeats the outermost displacements; "odd" reflects
        the field in the faces, 2 u(face) - u(reflected), so that affine fields go on as they are
    """

    displacement: Tensor
    extrapolation: str = "border"

    def __post_init__(self) -> None:
        if self.extrapolation not in ("border", "odd"):
            raise ValueError(f"unknown extrapolation {self.extrapolation}: border or odd")

    def _at(self, points: Tensor) -> Tensor:
        field = _exact(self.displacement).to(points.dtype)
        if self.extrapolation == "border":
            return points + sample(field, points)
        last = points.new_tensor([n - 1 for n in field.shape[2:]])
        face = points.clamp(min=0).minimum(_along_axes(last, points))
        return points + 2 * sample(field, face) - sample(field, 2 * face - points)

    def on(self, shape: Sequence[int], device: torch.device | str) -> Tensor:
        if tuple(shape) == tuple(self.displacement.shape[2:]):
            return _exact(self.displacement)
        return super().on(shape, device)

    def take(self, batch: slice) -> Map:
        return Sampled(_part(self.displacement, batch), self.extrapolation)


@dataclass(frozen=True, eq=False)
class Flow(Sampled):
    """The exponential of a stationary velocity, which regularisers may want to see.

    velocity : (B, 3, X, Y, Z) in voxels
    along : without gradients every point goes its own way through the velocity, in so many steps
        of the midpoint rule: what the opposite velocity then inverts but for the rule's error. 0:
        the displacement is interpolated between voxels, as it is wherever gradients are asked for
    """

    velocity: Tensor | None = None
    along: int = 0

    @classmethod
    def of(cls, velocity: Tensor, integrator: Integrator, along: int = 0) -> Flow:
        """The flow at time 1."""
        with exact(velocity.device):
            velocity = _exact(velocity)
            return cls(integrator(velocity), velocity=velocity, along=along)

    def _at(self, points: Tensor) -> Tensor:
        if self.velocity is None or not self.along or torch.is_grad_enabled():
            return super()._at(points)
        field, step = _exact(self.velocity).to(points.dtype), 1 / self.along
        for _ in range(self.along):
            half = points + step / 2 * sample(field, points)
            points = points + step * sample(field, half)
        return points

    def on(self, shape: Sequence[int], device: torch.device | str) -> Tensor:
        if self.along and not torch.is_grad_enabled():
            return Map.on(self, shape, device)
        return super().on(shape, device)

    def take(self, batch: slice) -> Map:
        velocity = None if self.velocity is None else _part(self.velocity, batch)
        return replace(self, displacement=_part(self.displacement, batch), velocity=velocity)


@dataclass(frozen=True, eq=False)
class Affine(Map):
    """Points p to M p + t; `matrix` is (B, 4, 4) or (4, 4), homogeneous, in voxels."""

    matrix: Tensor

    def _at(self, points: Tensor) -> Tensor:
        matrix = _exact(self.matrix).to(points.dtype).reshape(-1, 4, 4)
        moved = matrix[:, :3, :3] @ points.flatten(2) + matrix[:, :3, 3:]
        return moved.reshape(-1, *points.shape[1:])

    def take(self, batch: slice) -> Map:
        return Affine(_part(self.matrix, batch) if self.matrix.dim() == 3 else self.matrix)


@dataclass(frozen=True, eq=False)
class Composed(Map):
    """`outer` after `inner`, both in voxels of one grid: p to outer(inner(p))."""

    outer: Map
    inner: Map

    def _at(self, points: Tensor) -> Tensor:
        return self.outer.at(self.inner.at(points))

    def on(self, shape: Sequence[int], device: torch.device | str) -> Tensor:
        points = identity_grid(shape, torch.device(device), torch.float32)
        return self.outer.at(points + self.inner.on(shape, device)) - points

    def parts(self) -> Iterator[Map]:
        yield from self.outer.parts()
        yield from self.inner.parts()

    def take(self, batch: slice) -> Map:
        return Composed(self.outer.take(batch), self.inner.take(batch))


@dataclass(frozen=True, eq=False)
class Resized(Map):
    """A map of a grid of `shape` as one of a grid of `to`, with the same field of view."""

    inner: Map
    shape: tuple[int, ...]
    to: tuple[int, ...]

    def _at(self, points: Tensor) -> Tensor:
        # The displacement alone is rescaled: where it is 0 points stay to the bit.
        inside = rescale_points(points, self.to, self.shape)
        zoom = points.new_tensor([m / n for n, m in zip(self.shape, self.to, strict=True)])
        return points + (self.inner.at(inside) - inside) * _along_axes(zoom, points)

    def parts(self) -> Iterator[Map]:
        yield from self.inner.parts()

    def take(self, batch: slice) -> Map:
        return Resized(self.inner.take(batch), self.shape, self.to)


@dataclass(frozen=True, eq=False)
class Pointwise(Map):
    """Any function of points, such as a neural field; it knows no parts of its batch."""

    function: Callable[[Tensor], Tensor]

    def _at(self, points: Tensor) -> Tensor:
        return self.function(points)

    def take(self, batch: slice) -> Map:
        raise TypeError("a function of points cannot be split: ask for each direction alone")


def on_in_chunks(map_: Map, shape: Sequence[int], device: torch.device | str, chunk: int) -> Tensor:
    """`map_.on` with so many points at once: less memory for maps that need much for each."""
    points = identity_grid(shape, torch.device(device), torch.float32).flatten(2)
    parts = [map_.at(part) - part for part in points.split(chunk, 2)]
    return torch.cat(parts, 2).reshape(-1, 3, *shape)


def composed(*maps: Map) -> Map:
    """The maps one after the other, the last one first: composed(a, b, c) is a(b(c(p)))."""
    first, *others = maps
    for inner in others:
        first = Composed(first, inner)
    return first


def _part(values: Tensor, batch: slice) -> Tensor:
    return values if values.shape[0] == 1 else values[batch]


def _along_axes(values: Tensor, points: Tensor) -> Tensor:
    """Three values, one for each component of `points` (B, 3, ...)."""
    return values.view(1, 3, *[1] * (points.dim() - 2))


def _exact(values: Tensor) -> Tensor:
    """In float32 at least."""
    return values if values.dtype == torch.float64 else values.float()
