"""What a method is, and what some methods can do besides: asked by `isinstance`, never by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.images.volume import Grid
    from pmrpipe.methods.deformation import Deformation
    from pmrpipe.methods.posterior import Posterior
    from pmrpipe.spatial.kernels import Kernel


@runtime_checkable
class Method(Protocol):
    """Registers a moving to a fixed image, (B, 1, X, Y, Z) in [0, 1], both on `grid`."""

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation: ...


@runtime_checkable
class Probabilistic(Method, Protocol):
    """Can say how sure it is of a pair; images as for `register`."""

    def posterior(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Posterior: ...


@runtime_checkable
class Starts(Method, Protocol):
    """Has a faster answer, good enough for instance optimisation to begin with."""

    def start(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation: ...


@runtime_checkable
class LearnsMomenta(Method, Protocol):
    """Learns the initial momenta of a teacher whose kernel is its own."""

    @property
    def kernel(self) -> Kernel: ...


@runtime_checkable
class RefinesItself(Method, Protocol):
    """Has an instance optimisation of its own, from its answer on."""

    def refined(self, steps: int, finest: float) -> Method: ...


@runtime_checkable
class Layered(Method, Protocol):
    """Adds up the deformations of several levels, and can show each one alone.

    `contributions` gets images as `seen` gives them on the method's own grid, which is `grid`'s.
    """

    def grid(self, grid: Grid) -> Grid: ...

    def seen(self, image: Tensor, grid: Grid) -> Tensor: ...

    def contributions(self, moving: Tensor, fixed: Tensor, grid: Grid) -> list[Deformation]: ...
