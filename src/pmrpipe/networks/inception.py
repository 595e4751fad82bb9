"""FAIM's network (Kuang & Schmah 2018), and its stem of parallel convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pmrpipe.networks.blocks import Standardise, convolution, flow_convolution, prepared

KERNELS = (2, 5, 7, 11)


class SameConvolution(nn.Module):
    """A convolution whose output has 1/stride of the input's size, with even kernels too."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.layer = convolution(inputs, outputs, stride, kernel)
        self.layer.padding = (0, 0, 0)
        self.before, self.after = (kernel - 1) // 2, kernel // 2

    def forward(self, image: Tensor) -> Tensor:
        return self.layer(F.pad(image, [self.before, self.after] * 3))


class InceptionStem(nn.Module):
    """Convolutions with kernels 2, 5, 7 and 11 beside each other, and PReLU.

    `outputs` channels in all, a quarter from each kernel; one slope per channel.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, normalise: bool = False) -> None:
        super().__init__()
        share = outputs // len(KERNELS)
        self.branches = nn.ModuleList(SameConvolution(inputs, share, k, stride) for k in KERNELS)
        self.activation = nn.Sequential(*[Standardise()] * normalise, nn.PReLU(outputs))

    def forward(self, image: Tensor) -> Tensor:
        return self.activation(torch.cat([branch(image) for branch in self.branches], 1))


class FaimNetwork(nn.Module):
    """A displacement at full resolution, additive skips; 233,683 parameters by default.

    The source leaves open where the five PReLUs stand: here after the stem, after the second
    convolution of each level on the way down, and after each level on the way up.

    Parameters
    ----------
    channels : features throughout
    normalise : instance normalisation before every PReLU
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not
    """

    def __init__(self, channels: int = 32, normalise: bool = False, window: int = 0) -> None:
        super().__init__()
        self.window = window
        n = channels
        self.stem = InceptionStem(2, n, normalise=normalise)

        def stage(*layers: nn.Module) -> nn.Sequential:
            return nn.Sequential(*layers, *[Standardise()] * normalise, nn.PReLU(n))

        self.middle = stage(convolution(n, n, 2), convolution(n, n))
        self.bottom = stage(convolution(n, n, 2), SameConvolution(n, n, 2))
        self.up_middle, self.up_top = (
            nn.ConvTranspose3d(n, n, 3, 2, padding=1, output_padding=1) for _ in range(2)
        )
        self.join_middle, self.join_top = stage(convolution(n, n)), stage(convolution(n, n))
        self.displacement = flow_convolution(n, 1e-2)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """(B, 3, X, Y, Z) in voxels of the padded images."""
        images: Sequence[Tensor] = [prepared(image, self.window, 4) for image in (moving, fixed)]
        top = self.stem(torch.cat(list(images), 1))
        middle = self.middle(top)
        features = self.up_middle(self.bottom(middle))
        features = self.up_top(self.join_middle(features + middle))
        return self.displacement(self.join_top(features + top))
