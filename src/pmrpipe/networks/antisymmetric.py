"""Networks for registrations that exchanging the images inverts (ConstrICON).

Source: Greer et al., MICCAI 2023, and the authors' package `icon_registration`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pmrpipe.networks.blocks import Convolution, halved, prepared
from pmrpipe.spatial.precision import exact


class Antisymmetric(nn.Module):
    """N[A, B] - N[B, A]: exactly 0 for equal images, and its negative when they are exchanged.

    network : moving and fixed to any tensor
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            both = self.network(torch.cat([moving, fixed]), torch.cat([fixed, moving]))
            there, back = both.float().chunk(2)
        else:
            # One pass after the other: places of a batch need not be summed in the same order.
            there, back = self.network(moving, fixed).float(), self.network(fixed, moving).float()
        return there - back


class AffineNetwork(nn.Module):
    """The generator (B, 4, 4) of an affine about the grid's centre, in voxels.

    The linear part is the network's own numbers, the translation is in edges of the grid, as the
    authors have it in a cube of edge 1. The last layer begins at zero; with the default widths
    there are 4,873,368 parameters.

    Parameters
    ----------
    widths : features of the convolutions, each of which is followed by means of 2^3 voxels
    hidden : units of the layer before the last
    rigid : the antisymmetric part of the linear block alone, so that the affine is a rotation
    window : edge of the cube (voxels, odd) within which the images are standardised; 0: not
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 128, 256, 512),
        hidden: int = 300,
        rigid: bool = False,
        window: int = 0,
    ) -> None:
        super().__init__()
        self.rigid, self.window = rigid, window
        pairs = zip((2, *widths), widths, strict=False)
        self.layers = nn.ModuleList(Convolution(a, b, 3, padding=1) for a, b in pairs)
        self.hidden, self.last = nn.Linear(widths[-1], hidden), nn.Linear(hidden, 12)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, moving: Tensor, fixed: Tensor) -> Tensor:
        features = torch.cat([prepared(x, self.window, 1) for x in (moving, fixed)], 1)
        for layer in self.layers:
            features = halved(layer(F.relu(features)))
        features = F.relu(self.hidden(features.mean((2, 3, 4))))
        with exact(features.device):
            said = self.last(features.float()).view(-1, 3, 4)
            return self._generator(said, moving.shape[2:])

    def _generator(self, said: Tensor, shape: Sequence[int]) -> Tensor:
        linear, translation = said[:, :, :3], said[:, :, 3:]
        if self.rigid:
            linear = (linear - linear.transpose(1, 2)) / 2
        edges = torch.tensor([[n - 1.0] for n in shape], device=said.device)
        moved = translation * edges - linear @ (edges / 2)
        return F.pad(torch.cat([linear, moved], 2), [0, 0, 0, 1])
