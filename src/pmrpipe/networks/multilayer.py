"""PMR's network: two encoders, and a probabilistic model of a velocity at every level.

Source: Liu et al., MICCAI 2019, section 2 and Fig. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import Block, Encoder, flow_convolution, prepared


@dataclass
class Level:
    """What one level predicts: q(z) = N(mean, diag exp log_variance), and the features it used.

    All are (B, C, x, y, z) on the level's grid; the velocity is in voxels of that grid. A head
    that is not probabilistic has no log-variance.
    """

    mean: Tensor
    log_variance: Tensor | None
    moving: Tensor
    fixed: Tensor


class Head(nn.Module):
    """Velocity from the combined features of both images: mean and, if asked, log-variance.

    Initialised as in VoxelMorph-diff: mean N(0, 1e-5), log-variance N(0, 1e-10) with bias -10.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        combine: str = "concatenation",
        normalise: bool = False,
        probabilistic: bool = True,
    ) -> None:
        if combine not in ("concatenation", "difference"):
            raise ValueError(f"unknown way to combine features {combine}")
        super().__init__()
        self.combine = combine
        self.body = nn.Sequential(
            Block(inputs, channels, normalise=normalise),
            Block(channels, channels, normalise=normalise),
        )
        self.mean = flow_convolution(channels, 1e-5)
        self.log_variance = flow_convolution(channels, 1e-10, bias=-10.0) if probabilistic else None

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor | None]:
        if self.combine == "difference":
            moving, fixed = moving + fixed, fixed - moving
        features = self.body(torch.cat([moving, fixed], 1))
        return self.mean(features), self.log_variance(features) if self.log_variance else None


class MultilayerNetwork(nn.Module):
    """Two unshared encoders and one head per level.

    Parameters
    ----------
    channels : features of each level, finest first
    head : features inside each head
    combine : what the heads see of both images' features, "concatenation", or their sum and
        "difference", from which a motion is read more directly
    heads : levels that have a head, 1 the finest; by default all
    probabilistic : False: the heads give a velocity alone, without its variance
    normalise : instance normalisation after every convolution of encoders and heads
    window : edge of the cube (voxels, odd) within which the encoders' input is standardised;
        0 leaves it as it is
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 32, 32),
        head: int = 32,
        combine: str = "concatenation",
        heads: Sequence[int] | None = None,
        probabilistic: bool = True,
        normalise: bool = False,
        window: int = 0,
    ) -> None:
        super().__init__()
        self.window = window
        self.levels = tuple(heads or range(1, len(channels) + 1))
        self.moving = Encoder(tuple(channels), normalise=normalise)
        self.fixed = Encoder(tuple(channels), normalise=normalise)
        # Unshared, but alike at the start: features of both images can be compared at once.
        self.fixed.load_state_dict(self.moving.state_dict())
        self.heads = nn.ModuleList(
            Head(2 * channels[level - 1], head, combine, normalise, probabilistic)
            for level in self.levels
        )

    @property
    def multiple(self) -> int:
        """Images are padded to a multiple of this."""
        return 2 ** len(self.moving)

    def forward(self, moving: Tensor, fixed: Tensor) -> list[Level]:
        """Levels with a head, finest first, for images (B, 1, X, Y, Z) of any size, which are
        padded at the far ends."""
        moving, fixed = (prepared(image, self.window, self.multiple) for image in (moving, fixed))
        features = list(zip(self.moving(moving), self.fixed(fixed), strict=True))
        chosen = zip((features[level - 1] for level in self.levels), self.heads, strict=True)
        return [_level(head(m, f), m, f) for (m, f), head in chosen]


def _level(latent: tuple[Tensor, Tensor | None], moving: Tensor, fixed: Tensor) -> Level:
    mean, log_variance = latent
    return Level(mean, log_variance, moving, fixed)
