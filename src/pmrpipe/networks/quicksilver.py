"""Quicksilver's networks: from two patches at one place to what starts a geodesic there.

Source: Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396, as its code has it: two
encoders that share nothing, one decoder for each component, no skip connections, no
normalisation, a PReLU of one slope after all but the last convolution. Patches of 15 voxels go to
8, 5, 8 and 15 again; any edge of 4 j - 1 fits. Ours: the network with skip connections, the first
weights of the published one, and images that are centred.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Grey values of a brain in [0, 1]: near their mean and their deviation.
_MEAN, _DEVIATION = 0.4, 0.2
# With which a PReLU begins.
_SLOPE = 0.25


class PatchNetwork(nn.Module):
    """Moving and fixed patches (B, 1, n, n, n) to (B, 3, n, n, n), with dropout that can be drawn.

    All have two parameters: `features` of the first level, and `dropout`, the probability of a
    feature's value to be dropped, after the PReLUs between convolutions of one size; 0: none.
    """

    def draw(self, seed: int | None) -> None:
        """Drop the features of this seed from now on, in evaluation too; None: no longer.

        All patches lose the same features, so that there are no seams between them.
        """
        layers = [module for module in self.modules() if isinstance(module, SharedDropout)]
        for number, layer in enumerate(layers):
            layer.seed = None if seed is None else seed + number


class QuicksilverNetwork(PatchNetwork):
    """The published network: with 64 features 21,826,347 parameters.

    Three of these, the slope behind the last convolution of each decoder, are there and are not
    used.

    features, dropout : see `PatchNetwork`
    """

    def __init__(self, features: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.moving, self.fixed = _encoder(features, dropout), _encoder(features, dropout)
        self.decoders = nn.ModuleList(_decoder(features, dropout) for _ in range(3))
        self.unused = nn.ModuleList(nn.PReLU() for _ in range(3)).requires_grad_(False)
        self.apply(_begun)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        joined = torch.cat([self.moving(_centred(moving)), self.fixed(_centred(fixed))], 1)
        return torch.cat([decoder(joined) for decoder in self.decoders], 1)


class QuicksilverUNet(PatchNetwork):
    """The same sizes with skip connections, one decoder, and two convolutions at each of them.

    It has a third of the work of the published network with as many features, and begins to learn
    where that one still says zero.

    features, dropout : see `PatchNetwork`
    """

    def __init__(self, features: int = 16, dropout: float = 0.0) -> None:
        super().__init__()
        f = features
        self.moving, self.fixed = _levels(f, dropout), _levels(f, dropout)
        self.up = nn.ModuleList([_doubling(8 * f, 4 * f, 2), _doubling(4 * f, 2 * f, 3)])
        self.joined = nn.ModuleList(
            nn.Sequential(*_same(before, after, dropout), *_same(after, after, dropout))
            for before, after in ((8 * f, 4 * f), (4 * f, f))
        )
        self.last = nn.Conv3d(f, 3, 3, padding=1)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        seen: list[Tensor] = []
        sides = [_centred(moving), _centred(fixed)]
        for levels in zip(self.moving, self.fixed, strict=True):
            sides = [level(side) for level, side in zip(levels, sides, strict=True)]
            seen.append(torch.cat(sides, 1))
        features = seen.pop()
        for up, joined in zip(self.up, self.joined, strict=True):
            features = joined(torch.cat([up(features), seen.pop()], 1))
        return self.last(features)


class SharedDropout(nn.Module):
    """Dropout in training; with a seed, one draw for everything, the same on every device."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.seed: int | None = None

    def forward(self, features: Tensor) -> Tensor:
        if self.seed is None:
            return nn.functional.dropout(features, self.probability, self.training)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.rand(features.shape[1:], generator=generator)
        kept = (drawn >= self.probability).float() / (1 - self.probability)
        return features * kept.to(features)


def _same(before: int, after: int, dropout: float) -> list[nn.Module]:
    """A convolution that keeps the size, its PReLU, and dropout where there is some."""
    layers: list[nn.Module] = [nn.Conv3d(before, after, 3, padding=1), nn.PReLU()]
    return [*layers, SharedDropout(dropout)] if dropout else layers


def _halving(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv3d(before, after, 2, stride=2, padding=1), nn.PReLU()]


def _doubling(before: int, after: int, edge: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(before, after, edge, stride=2, padding=1), nn.PReLU())


def _levels(features: int, dropout: float) -> nn.ModuleList:
    """Three sizes of one image, finest first."""
    first = [_same(1, features, dropout), _same(features, features, dropout)]
    levels = [nn.Sequential(*first[0], *first[1])]
    for width in (features, 2 * features):
        wide = 2 * width
        levels.append(nn.Sequential(*_halving(width, wide), *_same(wide, wide, dropout)))
    return nn.ModuleList(levels)


def _encoder(features: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in ((1, features), (features, 2 * features)):
        for inputs in (before, after, after):
            layers += _same(inputs, after, dropout)
        layers += _halving(after, after)
    return nn.Sequential(*layers)


def _decoder(features: int, dropout: float) -> nn.Sequential:
    wide, middle = 4 * features, 2 * features
    return nn.Sequential(
        *_doubling(wide, wide, 2),
        *_same(wide, wide, dropout),
        *_same(wide, wide, dropout),
        *_same(wide, middle, dropout),
        *_doubling(middle, middle, 3),
        *_same(middle, middle, dropout),
        *_same(middle, middle, dropout),
        nn.Conv3d(middle, 1, 3, padding=1),
    )


def _centred(image: Tensor) -> Tensor:
    return (image - _MEAN) / _DEVIATION


def _begun(layer: nn.Module) -> None:
    """Weights with which features keep their size through PReLUs: He et al., ICCV 2015.

    Each voxel of a transposed convolution sums over edge / stride of its kernel along each axis.
    """
    if not isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d)):
        return
    edge, stride = layer.kernel_size[0], layer.stride[0]
    seen = edge / stride if isinstance(layer, nn.ConvTranspose3d) else edge
    gain = 2 / (1 + _SLOPE**2)
    nn.init.normal_(layer.weight, std=math.sqrt(gain / (layer.in_channels * seen**3)))
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
