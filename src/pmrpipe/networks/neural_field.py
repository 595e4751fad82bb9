"""Neural fields for NePhi: an encoder of pairs to latent codes, and a modulated SIREN.

Source: Tian et al., ECCV 2024 (widths, layers and initialisation of its public code).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import Convolution, Standardise
from pmrpipe.spatial.lookup import look_up
from pmrpipe.spatial.standardise import locally_standardised

_SLOPE = 0.2
_OMEGA = 30.0
# Of half the image's extent: what a direct weight of one makes of a code of one.
_SMALL = 0.1
# Edge, in voxels, of the features from which the global code is made, whatever the image's size.
_EDGE = 3


@dataclass(frozen=True, eq=False)
class Codes:
    """What a pair's field is made from.

    whole : (B, C) one code for the pair
    local : (B, C, x, y, z) one for each place; interpolated between, the border repeated
    last : where in `local` the last voxel of the image lies, a cell number for each axis
    """

    whole: Tensor
    local: Tensor
    last: tuple[float, ...]

    def at(self, unit: Tensor) -> Tensor:
        """Both codes at points (B, 3, N), -1 and 1 the first and last voxel: (B, C, N)."""
        last = unit.new_tensor(self.last).view(1, 3, 1)
        local = look_up(self.local, (unit + 1) / 2 * last)
        return torch.cat([self.whole[..., None].expand(-1, -1, unit.shape[2]), local], 1)


class PairEncoder(nn.Module):
    """Both images stacked to codes.

    Parameters
    ----------
    widths : of each stride-2 convolution
    local_at : the convolution, from 1 on, whose features give the local code
    codes : length of the global and of the local code
    hidden : width between the last features and the global code
    norm : "batch", or "instance" without parameters
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not
    """

    def __init__(
        self,
        widths: Sequence[int] = (8, 16, 32, 64, 128, 256),
        local_at: int = 3,
        codes: int = 32,
        hidden: int = 256,
        norm: str = "instance",
        window: int = 0,
    ) -> None:
        super().__init__()
        self.local_at, self.window = local_at, window
        pairs = zip((2, *widths), widths, strict=False)
        self.levels = nn.ModuleList(_level(before, after, 2, norm) for before, after in pairs)
        self.local = _level(widths[local_at - 1], codes, 1, norm)
        self.whole = nn.Sequential(
            nn.Flatten(),
            nn.Linear(widths[-1] * _EDGE**3, hidden),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(hidden, codes),
        )

    def forward(self, moving: Tensor, fixed: Tensor) -> Codes:
        features, local = torch.cat([moving, fixed], 1), None
        if self.window:
            features = locally_standardised(features, self.window)
        for number, level in enumerate(self.levels, start=1):
            features = level(features)
            if number == self.local_at:
                local = self.local(features)
        assert local is not None
        features = nn.functional.adaptive_avg_pool3d(features, _EDGE)
        # A convolution of stride 2 and padding 1 has voxel 2n in the middle of its n-th answer.
        last = tuple((n - 1) / 2**self.local_at for n in moving.shape[2:])
        return Codes(self.whole(features), local, last)


def _level(inputs: int, outputs: int, stride: int, norm: str) -> nn.Sequential:
    if norm not in ("batch", "instance"):
        raise ValueError(f"unknown norm {norm}: batch or instance")
    between = _BatchNorm(outputs) if norm == "batch" else Standardise()
    return nn.Sequential(
        Convolution(inputs, outputs, 3, stride, padding=1), between, nn.LeakyReLU(_SLOPE)
    )


class _BatchNorm(nn.BatchNorm3d):
    """One that a small image does not break: of one value there are no statistics of its own."""

    def forward(self, features: Tensor) -> Tensor:
        if features.numel() > features.shape[1]:
            return super().forward(features)
        return nn.functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )


class KnownCodes(nn.Module):
    """Codes as parameters, in place of an encoder: for one pair, whatever the images."""

    def __init__(self, codes: Codes) -> None:
        super().__init__()
        self.whole = nn.Parameter(codes.whole.detach().clone())
        self.local = nn.Parameter(codes.local.detach().clone())
        self.last = codes.last

    def forward(self, moving: Tensor, fixed: Tensor) -> Codes:
        return Codes(self.whole, self.local, self.last)


class Sine(nn.Linear):
    """sin(omega (W x + b)) with SIREN's initialisation (Sitzmann et al., NeurIPS 2020).

    Weights of a first layer, omega 1, lie within 1/n, others within sqrt(6/n)/omega.
    """

    def __init__(self, inputs: int, outputs: int, omega: float = 1.0) -> None:
        super().__init__(inputs, outputs)
        self.omega = omega
        bound = 1 / inputs if omega == 1 else math.sqrt(6 / inputs) / omega
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, values: Tensor) -> Tensor:
        return torch.sin(self.omega * super().forward(values))


class ModulatedField(nn.Module):
    """A displacement for each point, shaped by codes through gates; a fresh one is 0.

    The point is seen through fixed random Fourier features; three sine layers, each times a gate
    that sees the codes too, and a linear layer that begins at zero.

    Parameters
    ----------
    codes : length of the codes at a point, global and local together
    width : of every layer
    features : Fourier frequencies, of which there are sine and cosine
    deviation : of the frequencies, which are drawn once and not trained
    direct : whether a linear layer from the codes to the displacement is added, zero at first: the
        sine layers alone learn nothing of many pairs in a few thousand steps
    """

    frequencies: Tensor

    def __init__(
        self,
        codes: int = 64,
        width: int = 128,
        features: int = 128,
        deviation: float = 1.0,
        direct: bool = False,
    ) -> None:
        super().__init__()
        self.register_buffer("frequencies", deviation * torch.randn(3, features))
        self.gates = nn.ModuleList(
            [Sine(codes + 2 * features, width), *(Sine(width, width, _OMEGA) for _ in range(2))]
        )
        self.layers = nn.ModuleList(
            [Sine(2 * features, width), *(Sine(width, width, _OMEGA) for _ in range(2))]
        )
        self.last = nn.Linear(width, 3)
        self.direct = nn.Linear(codes, 3, bias=False) if direct else None
        for layer in (self.last, self.direct):
            for weights in () if layer is None else layer.parameters():
                nn.init.zeros_(weights)

    def forward(self, unit: Tensor, codes: Tensor) -> Tensor:
        """Displacement (B, 3, N), in units of [-1, 1], at points (B, 3, N) with codes (B, C, N)."""
        angles = 2 * math.pi * unit.transpose(1, 2) @ self.frequencies
        values = torch.cat([angles.sin(), angles.cos()], -1)
        first = gate = self.gates[0](torch.cat([codes.transpose(1, 2), values], -1))
        for number, layer in enumerate(self.layers):
            if number:
                gate = self.gates[number](gate) + first
            values = layer(values) * gate
        displacement = self.last(values)
        if self.direct is not None:
            displacement = displacement + _SMALL * self.direct(codes.transpose(1, 2))
        return displacement.transpose(1, 2)
