"""One step of a registration: a network, and what its output means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.maps import Flow, Map, Sampled


@dataclass(frozen=True, eq=False)
class Maps:
    """What a step gives, in voxels of its images' grid.

    there : from points of the fixed image to points of the moving one
    back : the inverse of it by construction; None where the step knows none
    """

    there: Map
    back: Map | None = None


class Parametrisation(Protocol):
    """From a network's output to maps in voxels of the images' grid."""

    def __call__(self, output: Tensor) -> Maps: ...


@dataclass(frozen=True)
class Displacement:
    """The output (B, 3, X, Y, Z) is a displacement in voxels; `extrapolation` as for `Sampled`."""

    extrapolation: str = "border"

    def __call__(self, output: Tensor) -> Maps:
        return Maps(Sampled(output, self.extrapolation))


@dataclass(frozen=True)
class Velocity:
    """The output (B, 3, X, Y, Z) is a stationary velocity; its two signs give both directions."""

    integrator: Integrator

    def __call__(self, output: Tensor) -> Maps:
        return Maps(Flow.of(output, self.integrator), Flow.of(-output, self.integrator))


class Step(nn.Module):
    """Moving and fixed (B, 1, X, Y, Z) to maps on their grid.

    Parameters
    ----------
    network : moving and fixed to what `parametrisation` takes
    parametrisation : makes maps of it, in float32 also under autocast
    """

    def __init__(self, network: nn.Module, parametrisation: Parametrisation) -> None:
        super().__init__()
        self.network, self.parametrisation = network, parametrisation

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        output = self.network(moving, fixed)
        with torch.autocast(moving.device.type, enabled=False):
            return self.parametrisation(output.float())
