"""A shared feature pyramid and one antisymmetric probabilistic head per level, for pmr-plus."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pmrpipe.networks.blocks import SLOPE, Block, Standardise, convolution, flow_convolution


class Pyramid(nn.Module):
    """Features of one image, finest first: level l has 1/2^(finest + l) of the image's size.

    Convolutions of 2^3 voxels with stride 2 halve it, so that a coarse voxel covers exactly eight
    finer ones and fields can be enlarged without a shift. Down to the finest level nothing else
    happens: most of a network's time would go into features of the image's own size.

    Parameters
    ----------
    channels : features of each level, finest first
    finest : halvings of the image before the first level
    own : whether the image itself is a further level, before the finest
    """

    def __init__(self, channels: Sequence[int], finest: int = 0, own: bool = False) -> None:
        super().__init__()
        self.own = own
        width = channels[0]
        halvings = [_halve(width if n else 1, width) for n in range(finest)]
        block = Block(width if finest else 1, width, normalise=True)
        self.first = nn.Sequential(*halvings, block)
        self.next = nn.ModuleList(
            nn.Sequential(_halve(before, after), Block(after, after, normalise=True))
            for before, after in pairwise(channels)
        )

    def forward(self, image: Tensor) -> list[Tensor]:
        features = [self.first(image)]
        for level in self.next:
            features.append(level(features[-1]))
        return [image, *features] if self.own else features


def _halve(inputs: int, outputs: int) -> nn.Module:
    layer = convolution(inputs, outputs, 2, kernel=2)
    layer.padding = (0, 0, 0)
    return nn.Sequential(layer, Standardise(), nn.LeakyReLU(SLOPE, inplace=True))


class SymmetricHead(nn.Module):
    """Velocity that changes its sign, and log-variance that stays, when the images are exchanged.

    The body sees sum and difference of both images' features, and their correlation over the
    neighbours within `reach` voxels. With `forced` it also sees the force that draws the images
    together, which changes its sign with their exchange.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        reach: int = 1,
        probabilistic: bool = True,
        forced: bool = False,
    ) -> None:
        super().__init__()
        self.reach, self.forced = reach, forced
        neighbours = (2 * reach + 1) ** 3 if reach else 0
        self.body = nn.Sequential(
            Block(2 * inputs + neighbours + 3 * forced, channels, normalise=True),
            Block(channels, channels),
        )
        self.mean = flow_convolution(channels, 1e-3)
        self.log_variance = flow_convolution(channels, 1e-10, bias=-10.0) if probabilistic else None

    def forward(
        self, moving: Tensor, fixed: Tensor, force: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance (B, 3, x, y, z) from features that are aligned so far."""
        one, other = torch.cat([moving, fixed]), torch.cat([fixed, moving])
        seen = [one + other, other - one]
        if self.reach:
            seen.append(neighbour_correlation(one, other, self.reach))
        if force is not None:
            seen.append(torch.cat([force, -force]))
        features = self.body(torch.cat(seen, 1))
        there, back = self.mean(features).chunk(2)
        if self.log_variance is None:
            return (there - back) / 2, None
        first, second = self.log_variance(features).chunk(2)
        return (there - back) / 2, (first + second) / 2


def neighbour_correlation(one: Tensor, other: Tensor, reach: int) -> Tensor:
    """Mean product over channels of `one` at p with `other` at p + d, for each offset d.

    Returns (B, (2 reach + 1)^3, X, Y, Z); beyond the faces `other` is 0.
    """
    size = one.shape[2:]
    padded = nn.functional.pad(other, [reach] * 6)
    span = range(2 * reach + 1)
    products = [
        (one * padded[:, :, i : i + size[0], j : j + size[1], k : k + size[2]]).mean(1)
        for i in span
        for j in span
        for k in span
    ]
    return torch.stack(products, 1)


class PyramidNetwork(nn.Module):
    """The parts of pmr-plus's network; methods/pmr_plus.py says how they work together.

    Parameters
    ----------
    channels : features of each level, finest first
    heads : features inside the head of each level
    finest : halvings of the image before the finest level
    reach : of each level's correlation of neighbours, voxels; 0: none
    probabilistic : whether the heads say how sure they are
    own : features inside the head of a further, finest level of the image's own size, which sees
        the images and the force between them; 0: none
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 48),
        heads: Sequence[int] = (16, 32, 48),
        finest: int = 1,
        reach: Sequence[int] = (0, 1, 1),
        probabilistic: bool = True,
        own: int = 0,
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(channels, finest, bool(own))
        self.finest, self.multiple = finest, 2 ** (finest + len(channels) - 1)
        self.heads = nn.ModuleList(
            SymmetricHead(*sizes, probabilistic)
            for sizes in zip(channels, heads, reach, strict=True)
        )
        # Behind the others, so that weights trained without it keep their names.
        self.own = SymmetricHead(1, own, 0, probabilistic, forced=True) if own else None

    @property
    def levels(self) -> list[SymmetricHead]:
        """The heads, finest first."""
        heads = [head for head in self.heads if isinstance(head, SymmetricHead)]
        return heads if self.own is None else [self.own, *heads]
