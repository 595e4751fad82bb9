"""PMR's network: two encoders, and a probabilistic model of a velocity at every level.

Source: Liu et al., MICCAI 2019, section 2 and Fig. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import Block, Encoder, flow_convolution, locally_standardised
from pmrpipe.spatial.resize import pad_to_multiple


@dataclass
class Level:
    """What one level predicts: q(z) = N(mean, diag exp log_variance), and the features it used.

    All are (B, C, x, y, z) on the level's grid; the velocity is in voxels of that grid.
    """

    mean: Tensor
    log_variance: Tensor
    moving: Tensor
    fixed: Tensor


class ProbabilisticHead(nn.Module):
    """Mean and log-variance of a velocity from the combined features of both images.

    Initialised as in VoxelMorph-diff: mean N(0, 1e-5), log-variance N(0, 1e-10) with bias -10.
    """

    def __init__(self, inputs: int, channels: int, normalise: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Block(inputs, channels, normalise=normalise),
            Block(channels, channels, normalise=normalise),
        )
        self.mean = flow_convolution(channels, 1e-5)
        self.log_variance = flow_convolution(channels, 1e-10, bias=-10.0)

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(torch.cat([moving, fixed], 1))
        return self.mean(features), self.log_variance(features)


class MultilayerNetwork(nn.Module):
    """Two unshared encoders and one probabilistic head per level.

    Parameters
    ----------
    channels : features of each level, finest first
    head : features inside each head
    normalise : instance normalisation after every convolution of encoders and heads
    window : edge of the cube (voxels, odd) within which the encoders' input is standardised;
        0 leaves it as it is
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 32, 32),
        head: int = 32,
        normalise: bool = False,
        window: int = 0,
    ) -> None:
        super().__init__()
        self.window = window
        self.moving = Encoder(tuple(channels), normalise=normalise)
        self.fixed = Encoder(tuple(channels), normalise=normalise)
        # Unshared, but alike at the start: features of both images can be compared at once.
        self.fixed.load_state_dict(self.moving.state_dict())
        self.heads = nn.ModuleList(ProbabilisticHead(2 * n, head, normalise) for n in channels)

    @property
    def multiple(self) -> int:
        """Images are padded to a multiple of this."""
        return 2 ** len(self.heads)

    def forward(self, moving: Tensor, fixed: Tensor) -> list[Level]:
        """Levels, finest first, for images (B, 1, X, Y, Z) of any size, padded at the far ends."""
        moving, fixed = (self._prepared(image) for image in (moving, fixed))
        features = zip(self.moving(moving), self.fixed(fixed), self.heads, strict=True)
        return [Level(*head(m, f), m, f) for m, f, head in features]

    def _prepared(self, image: Tensor) -> Tensor:
        if self.window:
            image = locally_standardised(image, self.window)
        return pad_to_multiple(image, self.multiple)
