"""The network of the PMR authors' public code, which differs from the paper's.

From its described behaviour: the heads see the moving features alone, every latent is decoded
back to features, and a U-Net decoder adds a latent of its own. What is not described is chosen
here: widths double from level to level, and the decoder joins the features of both encoders.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import SLOPE, Block, convolution, flow_convolution, prepared
from pmrpipe.networks.inception import InceptionStem
from pmrpipe.networks.unet import enlarged


@dataclass
class AuthorsLevel:
    """A latent q(z) = N(mean, diag exp log_variance), and the features that it is compared with.

    The decoder's own latent is compared with nothing.
    """

    mean: Tensor
    log_variance: Tensor
    fixed: Tensor | None = None


class AuthorsNetwork(nn.Module):
    """Two encoders of three levels from half resolution down, heads, and a U-Net decoder.

    Parameters
    ----------
    base : features of the finest level
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not
    """

    LEVELS = 3

    def __init__(self, base: int = 16, window: int = 0) -> None:
        super().__init__()
        self.window = window
        widths = [base * 2**n for n in range(self.LEVELS)]
        self.moving, self.fixed = (_Encoder(widths) for _ in range(2))
        self.heads = nn.ModuleList(_Latent(width) for width in widths)
        self.decode = nn.ModuleList(convolution(3, width) for width in widths)
        *finer, coarsest = widths
        self.bottom = Block(2 * coarsest, coarsest)
        self.up = nn.ModuleList(
            Block(2 * width + above, width)
            for width, above in zip(reversed(finer), reversed(widths[1:]), strict=True)
        )
        self.last = _Latent(base)

    def forward(self, moving: Tensor, fixed: Tensor) -> list[AuthorsLevel]:
        """Levels, finest (half resolution) first, and the decoder's latent last."""
        multiple = 2**self.LEVELS
        images = [prepared(image, self.window, multiple) for image in (moving, fixed)]
        m, f = self.moving(images[0]), self.fixed(images[1])
        levels = [_level(head(x), y) for head, x, y in zip(self.heads, m, f, strict=True)]
        joined = [torch.cat(both, 1) for both in zip(m, f, strict=True)]
        features = self.bottom(joined.pop())
        for block in self.up:
            features = block(torch.cat([enlarged(features), joined.pop()], 1))
        return [*levels, AuthorsLevel(*self.last(features))]


class _Encoder(nn.Module):
    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.stem = InceptionStem(1, widths[0], stride=2)
        before = [widths[0], *widths]
        self.levels = nn.ModuleList(
            nn.Sequential(*_normalised(n, m), *_normalised(m, m))
            for n, m in zip(before, widths, strict=False)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.stem(image)
        levels = []
        for number, level in enumerate(self.levels):
            features = level(nn.functional.max_pool3d(features, 2) if number else features)
            levels.append(features)
        return levels


def _normalised(inputs: int, outputs: int) -> list[nn.Module]:
    return [convolution(inputs, outputs), nn.BatchNorm3d(outputs), nn.LeakyReLU(SLOPE)]


class _Latent(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.mean = flow_convolution(inputs, 1e-5)
        self.log_variance = flow_convolution(inputs, 1e-10, bias=-10.0)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(features), self.log_variance(features)


def _level(latent: tuple[Tensor, Tensor], fixed: Tensor) -> AuthorsLevel:
    mean, log_variance = latent
    return AuthorsLevel(mean, log_variance, fixed)
