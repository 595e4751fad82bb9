"""U-Nets: that of VoxelMorph-diff (Dalca et al., MICCAI 2018, Fig. 2), and one for a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import Block, Encoder, flow_convolution, prepared
from pmrpipe.spatial.resize import crop


class UNet(nn.Module):
    """Features at half resolution from both images stacked.

    The last `decoder` widths beyond the levels are convolutions at half resolution.

    Parameters
    ----------
    encoder : features of each stride-2 convolution, finest first
    decoder : features of the convolutions on the way up, coarsest first
    normalise : instance normalisation after every convolution
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not
    """

    def __init__(
        self,
        encoder: Sequence[int] = (16, 32, 32, 32),
        decoder: Sequence[int] = (32, 32, 32, 32, 16),
        normalise: bool = False,
        window: int = 0,
    ) -> None:
        super().__init__()
        self.window = window
        self.down = Encoder(tuple(encoder), inputs=2, normalise=normalise)
        skips = [0, *reversed(encoder[:-1])]
        before = (encoder[-1], *decoder)
        self.up = nn.ModuleList(
            Block(before[n] + (skips[n] if n < len(skips) else 0), width, normalise=normalise)
            for n, width in enumerate(decoder)
        )

    def stacked(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """Both images (B, 2, X, Y, Z) as the network sees them, padded."""
        multiple = 2 ** len(self.down)
        return torch.cat([prepared(x, self.window, multiple) for x in (moving, fixed)], 1)

    def features(self, stacked: Tensor) -> Tensor:
        """(B, C, X/2, Y/2, Z/2)."""
        *skips, features = self.down(stacked)
        features = self.up[0](features)
        for number, block in enumerate(self.up[1:]):
            if number < len(skips):
                features = enlarged(features)
                features = torch.cat([features, skips[-1 - number]], 1)
            features = block(features)
        return features


class VelocityUNet(UNet):
    """Mean and log-variance of a velocity at half resolution; 266,374 parameters by default.

    encoder, decoder, normalise, window : as for `UNet`
    """

    def __init__(
        self,
        encoder: Sequence[int] = (16, 32, 32, 32),
        decoder: Sequence[int] = (32, 32, 32, 32, 16),
        normalise: bool = False,
        window: int = 0,
    ) -> None:
        super().__init__(encoder, decoder, normalise, window)
        self.mean = flow_convolution(decoder[-1], 1e-5)
        self.log_variance = flow_convolution(decoder[-1], 1e-10, bias=-10.0)

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, x, y, z) each, in voxels of the half-resolution grid of the padded images."""
        features = self.features(self.stacked(moving, fixed))
        return self.mean(features), self.log_variance(features)


class StepUNet(UNet):
    """Three components for every voxel of the images: a displacement or a velocity in voxels.

    The last convolution begins at zero, so that a fresh step is the identity.

    encoder, decoder, normalise, window : as for `UNet`; the last width of `decoder` serves the
    convolution at full resolution too
    """

    def __init__(
        self,
        encoder: Sequence[int] = (16, 32, 32, 32),
        decoder: Sequence[int] = (32, 32, 32, 32, 16),
        normalise: bool = False,
        window: int = 0,
    ) -> None:
        super().__init__(encoder, decoder, normalise, window)
        self.last = Block(decoder[-1] + 2, decoder[-1], normalise=normalise)
        self.flow = flow_convolution(decoder[-1], 0.0)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """(B, 3, X, Y, Z) on the images' grid."""
        stacked = self.stacked(moving, fixed)
        features = torch.cat([enlarged(self.features(stacked)), stacked], 1)
        return crop(self.flow(self.last(features)), moving.shape[2:])


def enlarged(features: Tensor) -> Tensor:
    """Every voxel repeated twice along each axis."""
    return nn.functional.interpolate(features, scale_factor=2, mode="nearest")
