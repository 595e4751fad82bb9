"""Convolution blocks with the initialisations of the papers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pmrpipe.spatial.resize import pad_to_multiple
from pmrpipe.spatial.standardise import locally_standardised, standardised

SLOPE = 0.2
# Voxels below which torch leaves oneDNN for a single float32 volume.
_SMALL = 20480


class Convolution(nn.Conv3d):
    """A 3D convolution that takes the quick path on a CPU for one small volume too.

    torch runs a batch of one through an eight times slower kernel when the volume is small; the
    same volume twice, and the first half of the result, goes through the quick one.
    """

    def forward(self, image: Tensor) -> Tensor:
        slow = image.shape[0] == 1 and not image.is_cuda and image[0, 0].numel() <= _SMALL
        if not slow:
            return super().forward(image)
        return super().forward(image.expand(2, -1, -1, -1, -1))[:1]


def convolution(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Conv3d:
    """A 3D convolution with He initialisation for LeakyReLU(0.2) and zero bias."""
    layer = Convolution(inputs, outputs, kernel, stride, padding=kernel // 2)
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    nn.init.zeros_(_bias(layer))
    return layer


def prepared(image: Tensor, window: int, multiple: int) -> Tensor:
    """What a network sees: the image, standardised within `window`^3 voxels (0: not), padded."""
    if window:
        image = locally_standardised(image, window)
    return pad_to_multiple(image, multiple)


class Standardise(nn.Module):
    """Instance normalisation without parameters, which a grid of one voxel does not break."""

    def forward(self, features: Tensor) -> Tensor:
        return standardised(features)


class Block(nn.Sequential):
    """Convolution, with `normalise` instance normalisation, and LeakyReLU(0.2)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1, normalise: bool = False) -> None:
        between = [Standardise()] if normalise else []
        layer = convolution(inputs, outputs, stride)
        super().__init__(layer, *between, nn.LeakyReLU(SLOPE, inplace=True))


def halved(features: Tensor) -> Tensor:
    """Means of 2^3 voxels, fewer at the far faces of odd sides: sides are rounded up."""
    return F.avg_pool3d(features, [min(2, n) for n in features.shape[2:]], 2, ceil_mode=True)


def flow_convolution(inputs: int, deviation: float, bias: float = 0.0) -> nn.Conv3d:
    """Convolution to the three components of a flow, weights N(0, deviation)."""
    layer = Convolution(inputs, 3, 3, padding=1)
    nn.init.normal_(layer.weight, std=deviation)
    nn.init.constant_(_bias(layer), bias)
    return layer


def _bias(layer: nn.Conv3d) -> Tensor:
    if layer.bias is None:
        raise ValueError("the convolution has no bias")
    return layer.bias


class Encoder(nn.ModuleList):
    """One stride-2 block per level (VoxelMorph-diff, Dalca et al., MICCAI 2018)."""

    def __init__(self, channels: tuple[int, ...], inputs: int = 1, normalise: bool = False) -> None:
        pairs = zip((inputs, *channels), channels, strict=False)
        super().__init__(Block(before, after, 2, normalise) for before, after in pairs)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first: level l has 1/2^(l+1) of the image's size."""
        features = []
        for level in self:
            image = level(image)
            features.append(image)
        return features
