"""One step of a registration: a network, and what its output means."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.maps import Affine, Flow, Map, Sampled
from pmrpipe.spatial.precision import exact


@dataclass(frozen=True, eq=False)
class Maps:
    """What a step gives, in voxels of its images' grid.

    there : from points of the fixed image to points of the moving one
    back : the inverse of it by construction; None where the step knows none
    """

    there: Map
    back: Map | None = None


class Parametrisation(Protocol):
    """From a network's output to maps in voxels of the images' grid.

    consistent : whether it gives the way back too
    """

    @property
    def consistent(self) -> bool: ...

    def __call__(self, output: Tensor) -> Maps: ...


@dataclass(frozen=True)
class Displacement:
    """The output (B, 3, X, Y, Z) is a displacement in voxels; `extrapolation` as for `Sampled`."""

    extrapolation: str = "border"
    consistent = False

    def __call__(self, output: Tensor) -> Maps:
        return Maps(Sampled(output, self.extrapolation))


@dataclass(frozen=True)
class Velocity:
    """The output (B, 3, X, Y, Z) is a stationary velocity; its two signs give both directions.

    `along` as for `Flow`: steps along the points' own ways, which close both ways in use.
    """

    integrator: Integrator
    along: int = 0
    consistent = True

    def __call__(self, output: Tensor) -> Maps:
        return Maps(*(Flow.of(sign * output, self.integrator, self.along) for sign in (1, -1)))


@dataclass(frozen=True)
class AffineGenerator:
    """The output (B, 4, 4) is the logarithm of an affine; its two signs give both directions."""

    consistent = True

    def __call__(self, output: Tensor) -> Maps:
        return Maps(*(Affine(torch.linalg.matrix_exp(sign * output)) for sign in (1, -1)))


@runtime_checkable
class SeesBoth(Protocol):
    """A network that answers for a pair and for the pair exchanged in one go, for less."""

    def both(self, moving: Tensor, fixed: Tensor) -> Tensor: ...


class Registration(nn.Module):
    """Moving and fixed (B, 1, X, Y, Z) to `Maps` on their grid: a step, or an operator on steps."""

    @property
    @abstractmethod
    def consistent(self) -> bool:
        """Whether its maps come with the way back, by construction."""

    def both(self, moving: Tensor, fixed: Tensor) -> Maps:
        """Maps of the pairs and, as the second half of the batch, of the pairs exchanged."""
        return self(torch.cat([moving, fixed]), torch.cat([fixed, moving]))


class Step(Registration):
    """A network and what its output means.

    Parameters
    ----------
    network : moving and fixed to what `parametrisation` takes
    parametrisation : makes maps of it, in float32 also under autocast
    """

    def __init__(self, network: nn.Module, parametrisation: Parametrisation) -> None:
        super().__init__()
        self.network, self.parametrisation = network, parametrisation

    @property
    def consistent(self) -> bool:
        return self.parametrisation.consistent

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        return self._maps(self.network(moving, fixed))

    def both(self, moving: Tensor, fixed: Tensor) -> Maps:
        if isinstance(self.network, SeesBoth):
            return self._maps(self.network.both(moving, fixed))
        return super().both(moving, fixed)

    def _maps(self, output: Tensor) -> Maps:
        with exact(output.device):
            return self.parametrisation(output.float())
