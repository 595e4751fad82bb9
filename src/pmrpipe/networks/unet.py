"""The U-Net of VoxelMorph-diff (Dalca et al., MICCAI 2018, Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import Block, Encoder, flow_convolution, prepared


class VelocityUNet(nn.Module):
    """Mean and log-variance of a velocity at half resolution, from both images stacked.

    266,374 parameters at the default widths. The last `decoder` widths beyond the levels are
    convolutions at half resolution.

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
        self.mean = flow_convolution(decoder[-1], 1e-5)
        self.log_variance = flow_convolution(decoder[-1], 1e-10, bias=-10.0)

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, x, y, z) each, in voxels of the half-resolution grid of the padded images."""
        multiple = 2 ** len(self.down)
        images = [prepared(image, self.window, multiple) for image in (moving, fixed)]
        *skips, features = self.down(torch.cat(images, 1))
        features = self.up[0](features)
        for number, block in enumerate(self.up[1:]):
            if number < len(skips):
                features = enlarged(features)
                features = torch.cat([features, skips[-1 - number]], 1)
            features = block(features)
        return self.mean(features), self.log_variance(features)


def enlarged(features: Tensor) -> Tensor:
    """Every voxel repeated twice along each axis."""
    return nn.functional.interpolate(features, scale_factor=2, mode="nearest")
