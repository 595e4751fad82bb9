"""Coordinate attention: where in the moving image what a voxel of the fixed one shows lies.

Source: CARL (Greer et al., CVPR 2025) and the authors' packages. Features are alike for shifted
images, and the answer is a mean of coordinates: shifting an image shifts the map with it, by
construction, as long as the shift is by whole voxels and nothing comes near the faces.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pmrpipe.base.errors import InputError
from pmrpipe.networks.blocks import Convolution, prepared
from pmrpipe.networks.tall_unet import normalisation
from pmrpipe.spatial.precision import exact
from pmrpipe.spatial.warp import identity_grid

# Axes about which half turns average features: none, and each of the three.
_TURNS = ((), (3, 4), (2, 4), (2, 3))


class Features(nn.Module):
    """(B, 1, X, Y, Z) to (B, width, X, Y, Z); 3,986,816 parameters with the defaults.

    Parameters
    ----------
    width, blocks : of the network; each block adds what its dilated convolutions find
    dilations : of the convolutions of a block
    norm : of every block's input, "batch" as published, or "instance"
    turned : the mean over half turns about the axes, so that these turn the features alike
    """

    def __init__(
        self,
        width: int = 128,
        blocks: int = 3,
        dilations: Sequence[int] = (1, 2, 4),
        norm: str = "batch",
        turned: bool = False,
    ) -> None:
        super().__init__()
        self.turned = turned
        self.first = Convolution(1, width, 3, padding=1)
        self.norms = nn.ModuleList(normalisation(norm, width) for _ in range(blocks))
        self.blocks = nn.ModuleList(_block(width, dilations) for _ in range(blocks))

    def forward(self, image: Tensor) -> Tensor:
        if not self.turned:
            return self._once(image)
        return torch.stack([self._once(image.flip(a)).flip(a) for a in _TURNS]).mean(0)

    def _once(self, image: Tensor) -> Tensor:
        features = F.relu(self.first(image))
        for norm, layers in zip(self.norms, self.blocks, strict=True):
            features = norm(features)
            features = features + layers(features)
        return features


def _block(width: int, dilations: Sequence[int]) -> nn.Sequential:
    """Dilated convolutions with ReLU between them."""
    layers = [Convolution(width, width, 3, padding=d, dilation=d) for d in dilations]
    between = [part for layer in layers for part in (nn.ReLU(), layer)]
    return nn.Sequential(*between[1:])


class CoordinateAttention(nn.Module):
    """Moving and fixed (B, 1, X, Y, Z) to a displacement in voxels of their grid.

    Parameters
    ----------
    features : image to features on its grid, such as `Features`
    padding : voxels of zeros around the images, where the moving one is looked for too
    length : of each voxel's features: a hard attention needs long ones
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not

    Raises
    ------
    InputError : the images have a side of a single voxel (when it is used)
    """

    def __init__(
        self, features: nn.Module, padding: int = 9, length: float = 4.0, window: int = 0
    ) -> None:
        super().__init__()
        self.features, self.padding, self.length = features, padding, length
        self.window = window

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        keys, queries = self._said(torch.cat([moving, fixed])).chunk(2)
        return self._displacement(queries, keys)

    def both(self, moving: Tensor, fixed: Tensor) -> Tensor:
        """The pairs and, as the second half of the batch, the pairs exchanged.

        The features of each image are computed once.
        """
        said = self._said(torch.cat([moving, fixed]))
        return self._displacement(said.roll(moving.shape[0], 0), said)

    def _said(self, images: Tensor) -> Tensor:
        """Features of the padded images, all of one length, float32."""
        if min(images.shape[2:]) < 2:
            problem = f"is {'x'.join(map(str, images.shape[2:]))} cells of the attention"
            remedy = "it needs two along each axis: lower network_mm, or take larger images"
            raise InputError("image", problem, remedy)
        # Padded first: what standardising leaves around a brain near a face must not be cut off.
        images = prepared(F.pad(images, [self.padding] * 6), self.window, 1)
        features = self.features(images).float()
        norm = features.square().sum(1, keepdim=True).add(1e-12).sqrt()
        return self.length * features / (1e-3 + norm)

    def _displacement(self, fixed: Tensor, moving: Tensor) -> Tensor:
        points = identity_grid(moving.shape[2:], moving.device, torch.float32)
        middle = (torch.tensor(moving.shape[2:], device=points.device) - 1) / 2
        places = points - middle.view(1, 3, 1, 1, 1)
        return attended(self._inside(fixed), moving, places) - self._inside(places)

    def _inside(self, padded: Tensor) -> Tensor:
        return F.pad(padded, [-self.padding] * 6)


def attended(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Means (B, V, X, Y, Z) of `values`, by the softmax of the features' products.

    queries, keys : (B, C, X, Y, Z) and (B, C, x, y, z), float32
    values : (1, V, x, y, z), V at most C; in float32 under autocast too
    """
    count, width = queries.shape[:2]
    # The fused kernels want values as wide as the keys, and a voxel's features side by side: else
    # torch makes the matrix of all products, silently.
    filled = F.pad(values.flatten(2), [0, 0, 0, width - values.shape[1]]).expand(count, -1, -1)
    query, key, value = (
        part.flatten(2).transpose(1, 2)[:, None].contiguous() for part in (queries, keys, filled)
    )
    with exact(queries.device):
        said = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    said = said[:, 0, :, : values.shape[1]].transpose(1, 2)
    return said.reshape(count, -1, *queries.shape[2:])
