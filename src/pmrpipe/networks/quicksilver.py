"""Quicksilver's network: from two patches at one place to the initial momentum there.

Source: Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396, as its code has it: two
encoders that share nothing, one decoder for each component, no skip connections, no
normalisation, a PReLU of one slope after all but the last convolution. Patches of 15 voxels go to
8, 5, 8 and 15 again; any edge of 4 j - 1 fits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class QuicksilverNetwork(nn.Module):
    """Moving and fixed patches (B, 1, n, n, n) to (B, 3, n, n, n).

    Parameters
    ----------
    features : of the first level; published: 64, with 21,826,347 parameters. Three of these, the
        slope behind the last convolution of each decoder, are there and are not used
    dropout : probability of a feature's value to be dropped, after the PReLUs between convolutions
        of one size; 0: none
    """

    def __init__(self, features: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout
        self.moving, self.fixed = _encoder(features, dropout), _encoder(features, dropout)
        self.decoders = nn.ModuleList(_decoder(features, dropout) for _ in range(3))
        self.unused = nn.ModuleList(nn.PReLU() for _ in range(3)).requires_grad_(False)

    def draw(self, seed: int | None) -> None:
        """Drop the features of this seed from now on, in evaluation too; None: no longer.

        All patches lose the same features, so that there are no seams between them.
        """
        layers = [module for module in self.modules() if isinstance(module, SharedDropout)]
        for number, layer in enumerate(layers):
            layer.seed = None if seed is None else seed + number

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        joined = torch.cat([self.moving(moving), self.fixed(fixed)], 1)
        return torch.cat([decoder(joined) for decoder in self.decoders], 1)


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


def _halving(before: int, after: int, dropout: float) -> list[nn.Module]:
    layers = [_same(before, after, dropout), *(_same(after, after, dropout) for _ in range(2))]
    pool = [nn.Conv3d(after, after, 2, stride=2, padding=1), nn.PReLU()]
    return [layer for some in layers for layer in some] + pool


def _encoder(features: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        *_halving(1, features, dropout), *_halving(features, 2 * features, dropout)
    )


def _decoder(features: int, dropout: float) -> nn.Sequential:
    wide, middle = 4 * features, 2 * features
    return nn.Sequential(
        nn.ConvTranspose3d(wide, wide, 2, stride=2, padding=1),
        nn.PReLU(),
        *_same(wide, wide, dropout),
        *_same(wide, wide, dropout),
        *_same(wide, middle, dropout),
        nn.ConvTranspose3d(middle, middle, 3, stride=2, padding=1),
        nn.PReLU(),
        *_same(middle, middle, dropout),
        *_same(middle, middle, dropout),
        nn.Conv3d(middle, 1, 3, padding=1),
    )
