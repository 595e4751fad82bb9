"""Smoothing kernels of velocity fields, applied in the Fourier domain.

A kernel K takes a momentum m to its velocity v = K m and is self-adjoint and positive; L is its
inverse. Fields are (B, 3, X, Y, Z) along the array axes. Lengths are mm: a change of the voxel
size changes nothing but the resolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

# Of a symmetric 3x3 matrix: its six entries, and where each stands.
_ENTRIES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
# A Gaussian's spectrum falls below this: its inverse would be noise.
_SPECTRUM_FLOOR = 1e-6


@dataclass(frozen=True)
class Fluid:
    """L = (-alpha laplace - beta grad div + gamma)^power, by differences on the periodic grid.

    Source: the fluid operator of PyCA, which Quicksilver and VectorMomentum use with power 1 (Yang
    et al., NeuroImage 158, 2017); its six coefficients per frequency are inverted exactly. With
    power 1 fields of finite energy need not be smooth in three dimensions; from power 3 on they
    are (Dupuis, Grenander, Miller, Q Appl Math 56, 1998), and 2 lies between.

    Parameters
    ----------
    alpha, beta : mm^2
    gamma : without unit; sqrt(alpha / gamma) is the kernel's length in mm
    power : whole, of the operator
    """

    alpha: float = 0.01
    beta: float = 0.01
    gamma: float = 0.001
    power: int = 1

    @property
    def isotropic(self) -> bool:
        """Whether K is one number at every frequency."""
        return self.beta == 0

    def __post_init__(self) -> None:
        if min(self.alpha, self.gamma) <= 0 or self.beta < 0 or self.power < 1:
            raise ValueError("a fluid kernel needs positive alpha, gamma and power, beta >= 0")

    def spectrum(self, shape: Sequence[int], spacing: Sequence[float]) -> Tensor:
        """The matrix K of every frequency, (x, y, z, 3, 3) float64 on the half spectrum."""
        second, first = _difference_symbols(shape, spacing)
        laplace = second[0] + second[1] + second[2]
        rows = [
            [
                (-self.alpha * laplace + self.gamma) * (a == b)
                + (-self.beta * second[a] if a == b else self.beta * first[a] * first[b])
                for b in range(3)
            ]
            for a in range(3)
        ]
        operator = torch.stack([torch.stack(row, -1) for row in rows], -2)
        return torch.linalg.matrix_power(torch.linalg.inv(operator), self.power)

    def padding(self, spacing: Sequence[float]) -> tuple[int, int, int]:
        """None: the operator is periodic by its definition."""
        return (0, 0, 0)


@dataclass(frozen=True)
class Gaussians:
    """K = sum_i weight_i G(deviation_i), every Gaussian of unit sum, weights normalised to sum 1.

    Source: UtilzReg's GeoShoot (Vialard et al., IJCV 97, 2012; Risser et al., TMI 30, 2011).

    Parameters
    ----------
    deviations : mm
    weights : one for each deviation; equal ones by default
    """

    deviations: tuple[float, ...] = (3.0,)
    weights: tuple[float, ...] | None = None

    @property
    def isotropic(self) -> bool:
        """Whether K is one number at every frequency: always."""
        return True

    def __post_init__(self) -> None:
        weights = self.weights or (1.0,) * len(self.deviations)
        if len(weights) != len(self.deviations) or min(*weights, *self.deviations) <= 0:
            raise ValueError("a sum of Gaussians needs positive deviations and as many weights")
        object.__setattr__(self, "deviations", tuple(float(d) for d in self.deviations))
        object.__setattr__(self, "weights", tuple(float(w) / sum(weights) for w in weights))

    def spectrum(self, shape: Sequence[int], spacing: Sequence[float]) -> Tensor:
        """The matrix K of every frequency, (x, y, z, 3, 3) float64 on the half spectrum."""
        axes = zip(_frequencies(shape), spacing, strict=True)
        x, y, z = ((2 * math.pi * k / mm) ** 2 for k, mm in axes)
        squares = x + y + z
        gain = torch.zeros_like(squares)
        for weight, deviation in zip(self.weights or (), self.deviations, strict=True):
            gain = gain + weight * torch.exp(-0.5 * deviation**2 * squares)
        return gain.clamp(min=_SPECTRUM_FLOOR)[..., None, None] * torch.eye(3, dtype=torch.float64)

    def padding(self, spacing: Sequence[float]) -> tuple[int, int, int]:
        """Voxels of zeros at each far end, so that the two sides of the grid do not meet."""
        reach = 4 * max(self.deviations)
        return tuple(math.ceil(reach / mm) for mm in spacing)  # type: ignore[return-value]


Kernel = Fluid | Gaussians


class KernelOnGrid:
    """A kernel on one grid: its matrices are worked out once.

    Parameters
    ----------
    shape : of the fields
    spacing : mm, along the array axes
    """

    def __init__(
        self,
        kernel: Kernel,
        shape: Sequence[int],
        spacing: Sequence[float],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.kernel, self.shape, self.spacing = kernel, tuple(shape), tuple(spacing)
        margin = kernel.padding(spacing)
        self.padded = tuple(n + pad for n, pad in zip(shape, margin, strict=True))
        self._entries = {
            name: entries.to(device, dtype)
            for name, entries in _powers(kernel, self.padded, self.spacing).items()
        }

    def smooth(self, momentum: Tensor) -> Tensor:
        """v = K m."""
        return self._apply("smooth", momentum)

    def sharpen(self, velocity: Tensor) -> Tensor:
        """m = L v."""
        return self._apply("sharpen", velocity)

    def root(self, white: Tensor) -> Tensor:
        """K^1/2 w: the velocity of a white variable w, whose squared norm is the energy <m, v>."""
        return self._apply("root", white)

    def unroot(self, white: Tensor) -> Tensor:
        """K^-1/2 w: the momentum of a white variable w."""
        return self._apply("unroot", white)

    def energy(self, momentum: Tensor, velocity: Tensor | None = None) -> Tensor:
        """<m, K m> over the grid in mm, (B,); `velocity` is K m, where it is known."""
        if velocity is None:
            velocity = self.smooth(momentum)
        return (momentum * velocity).sum((1, 2, 3, 4)) * math.prod(self.spacing)

    def _apply(self, name: str, field: Tensor) -> Tensor:
        waves = torch.fft.rfftn(field, s=self.padded, dim=(2, 3, 4))
        entries = self._entries[name]
        mixed = waves * entries if len(entries) == 1 else _mixed(waves, entries)
        whole = torch.fft.irfftn(mixed, s=self.padded, dim=(2, 3, 4))
        x, y, z = self.shape
        return whole[..., :x, :y, :z]


def _frequencies(shape: Sequence[int]) -> list[Tensor]:
    """Cycles per voxel along each axis, broadcastable over the half spectrum."""
    x = torch.fft.fftfreq(shape[0], dtype=torch.float64)[:, None, None]
    y = torch.fft.fftfreq(shape[1], dtype=torch.float64)[None, :, None]
    z = torch.fft.rfftfreq(shape[2], dtype=torch.float64)[None, None, :]
    return [x, y, z]


def _difference_symbols(
    shape: Sequence[int], spacing: Sequence[float]
) -> tuple[list[Tensor], list[Tensor]]:
    """Symbols of second differences (1/mm^2) and, over i, of central differences (1/mm)."""
    turns = [2 * math.pi * k for k in _frequencies(shape)]
    grid = torch.broadcast_tensors(*turns)
    second = [(2 * torch.cos(t) - 2) / mm**2 for t, mm in zip(grid, spacing, strict=True)]
    first = [torch.sin(t) / mm for t, mm in zip(grid, spacing, strict=True)]
    return second, first


@lru_cache(maxsize=4)
def _powers(
    kernel: Kernel, shape: tuple[int, ...], spacing: tuple[float, ...]
) -> dict[str, Tensor]:
    """K, L and their roots at every frequency: six entries of each matrix, or one number."""
    exponents = {"smooth": 1.0, "sharpen": -1.0, "root": 0.5, "unroot": -0.5}
    matrix = kernel.spectrum(shape, spacing)
    if kernel.isotropic:
        gain = matrix[None, ..., 0, 0]
        return {name: gain**power for name, power in exponents.items()}
    values, vectors = torch.linalg.eigh(matrix)
    return {
        name: _entries((vectors * values[..., None, :] ** power) @ vectors.mT)
        for name, power in exponents.items()
    }


def _entries(matrix: Tensor) -> Tensor:
    return torch.stack([matrix[..., a, b] for a, b in _ENTRIES])


def _mixed(waves: Tensor, entries: Tensor) -> Tensor:
    """The symmetric matrix of every frequency times its wave, (B, 3, ...)."""
    xx, yy, zz, xy, xz, yz = entries
    x, y, z = waves.unbind(1)
    rows = xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z
    return torch.stack(rows, 1)
