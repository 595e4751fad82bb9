"""The U-Net of a step in ICON, GradICON, ConstrICON and CARL.

Source: the network called tallUNet2 of the authors' package `icon_registration` (Tian et al.,
CVPR 2023). Theirs are the widths, the residual paths, the head's zeros and its tenth of an edge;
ours are the local standardisation of the images and `norm: instance`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pmrpipe.networks.blocks import Convolution, Standardise, halved, prepared
from pmrpipe.spatial.precision import exact
from pmrpipe.spatial.resize import crop

SLOPE = 0.01


class TallUNet(nn.Module):
    """Moving and fixed (B, 1, X, Y, Z) of any size to three components for every voxel.

    Each level halves the grid, rounding up. The last convolution begins at zero, so that a fresh
    step is the identity; with the default widths there are 17,670,229 parameters.

    Parameters
    ----------
    down : features of the stride-2 convolutions, finest first
    up : features of the transposed convolutions, coarsest first
    norm : "batch", as published, or "instance", without parameters and alike in training and use
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not
    unit : what one unit of the last convolution's output is, as a part of the grid's edge
    """

    def __init__(
        self,
        down: Sequence[int] = (16, 32, 64, 256, 512),
        up: Sequence[int] = (256, 128, 64, 32, 16),
        norm: str = "batch",
        window: int = 0,
        unit: float = 0.1,
    ) -> None:
        super().__init__()
        if len(down) != len(up):
            raise ValueError(f"{len(down)} levels down and {len(up)} up")
        self.window, self.unit, self.widths = window, unit, tuple(up)
        before = (2, *down)
        self.down = nn.ModuleList(
            Convolution(before[n], width, 3, 2, padding=1) for n, width in enumerate(down)
        )
        skips = [*reversed(before[:-1])]
        inputs = [down[-1], *(u + s for u, s in zip(up, skips, strict=True))]
        self.up = nn.ModuleList(
            nn.ConvTranspose3d(inputs[n], width, 4, 2, padding=1) for n, width in enumerate(up)
        )
        self.norms = nn.ModuleList(normalisation(norm, width) for width in up)
        self.flow = nn.Conv3d(inputs[-1], 3, 3, padding=1)
        nn.init.zeros_(self.flow.weight)
        nn.init.zeros_(self.flow.bias)  # type: ignore[arg-type]

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """(B, 3, X, Y, Z) in voxels of the images' grid, float32 also under autocast."""
        features = self._features(
            torch.cat([prepared(x, self.window, 1) for x in (moving, fixed)], 1)
        )
        with exact(features.device):
            # In half precision the field would be a staircase, and its gradient noise.
            return self.flow(features.float()) * _units(features.shape[2:], self.unit, features)

    def _features(self, features: Tensor) -> Tensor:
        skips = []
        for layer in self.down:
            skips.append(features)
            rough, features = halved(features), layer(F.leaky_relu(features, SLOPE))
            features = features + _with_channels(rough, features.shape[1])
        for layer, norm, width in zip(self.up, self.norms, self.widths, strict=True):
            rough = F.interpolate(features[:, :width], scale_factor=2, mode="trilinear")
            features = norm(layer(F.leaky_relu(features, SLOPE)) + rough)
            skip = skips.pop()
            features = torch.cat([crop(features, skip.shape[2:]), skip], 1)
        return features


def _with_channels(features: Tensor, width: int) -> Tensor:
    """The features behind as many empty ones as make `width`."""
    return F.pad(features, [0, 0] * 3 + [width - features.shape[1], 0])


def _units(shape: Sequence[int], unit: float, like: Tensor) -> Tensor:
    """Voxels (1, 3, 1, 1, 1) in `unit` of each edge, from centre to centre."""
    edges = [unit * (n - 1) for n in shape]
    return torch.tensor(edges, dtype=torch.float32, device=like.device).view(1, 3, 1, 1, 1)


def normalisation(norm: str, width: int) -> nn.Module:
    """`batch`, as published, or `instance`, without parameters."""
    if norm not in ("batch", "instance"):
        raise ValueError(f"unknown norm {norm}: batch or instance")
    return nn.BatchNorm3d(width) if norm == "batch" else Standardise()
