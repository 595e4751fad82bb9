"""Quicksilver: initial momenta predicted from patches, corrected, shot.

LP: m = P(M, T). LPC: T is pulled back along the path of m, T' = T o phi_1, and m + C(M, T') is
shot from M: both momenta live there at time 0, so that they add up, and the answer is one
geodesic. LPP has P in place of C; LPC2 and LPC3 correct twice and three times.

Source: Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396. Ours: the networks say the
white variable w = K^1/2 m in place of the momentum m: it is smooth, can be interpolated on a finer
grid than the teacher's, and is learned sooner. It is learned in units of `scale`, a pair at a time,
and the loss is the mean of the absolute difference where the published one is its sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.losses.matching import SquaredDifference
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.geodesic import Geodesic, follow, followed, momentum_of
from pmrpipe.methods.lddmm import LDDMM, Matching
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.posterior import Posterior
from pmrpipe.methods.protocols import Method
from pmrpipe.methods.stops import value
from pmrpipe.networks.patches import Patches, filled_box
from pmrpipe.networks.quicksilver import PatchNetwork
from pmrpipe.spatial.geodesic import Path, Shooting
from pmrpipe.spatial.kernels import Fluid, Kernel, KernelOnGrid
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.warp import warp

if TYPE_CHECKING:
    from pmrpipe.methods.spec import Stage

# Patches that go through the network at once: few enough for a processor's cache, many for a GPU.
_ON_CPU, _ON_GPU = 16, 128


class Quicksilver(NetworkMethod):
    """A network that predicts a teacher's initial momenta, as white variables K^1/2 m.

    Parameters
    ----------
    network : P, moving and fixed patches (B, 1, n, n, n) to (B, 3, n, n, n)
    correction : C, a network of the same size; None: there is none
    corrections : how often the momentum is corrected, by C or, without one, by P
    kernel, shooting : of the geodesics; the kernel is the teacher's
    scale : a white variable of that size is 1 to the networks
    edge, stride : of the patches, voxels
    patches : how many of a pair a step of the training sees
    matching : what `refined` minimises, with the energy of the path
    velocity_mm : voxel size at which geodesics are followed, as the teacher's: velocities are
        smooth; None: the networks' own
    """

    learns_contrasts = True
    corrector_begun: Tensor

    def __init__(
        self,
        network: PatchNetwork,
        correction: PatchNetwork | None = None,
        corrections: int = 0,
        kernel: Kernel | None = None,
        shooting: Shooting | None = None,
        scale: float = 1.0,
        edge: int = 15,
        stride: int = 14,
        patches: int = 64,
        matching: Matching | None = None,
        velocity_mm: float | None = None,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.velocity_mm = velocity_mm
        self.network, self.correction, self.corrections = network, correction, corrections
        self.kernel, self.shooting = kernel or Fluid(), shooting or Shooting()
        self.scale, self.edge, self.stride, self.patches = scale, edge, stride, patches
        self.matching = matching or SquaredDifference()
        self.corrects = correction is not None
        # Kept with the weights, so that a run that resumes does not begin C again.
        self.register_buffer("corrector_begun", torch.tensor(correction is not None))

    def enter(self, stage: Stage) -> None:
        """Train P alone (one step), or C on what P says, P as it is (two steps, or all).

        C begins with the weights of P.

        Raises
        ------
        InputError : the method lacks a network that the stage names
        """
        there = 1 if self.correction is None else 2
        if (stage.steps or there) > there or stage.regularisers or stage.coarser > 1:
            problem = f"asks for more than steps, of which there are {there}"
            raise InputError("schedule.stages", problem, "write `steps: 1`, or leave it out")
        self.corrects = (stage.steps or there) == 2
        if self.correction is not None and self.corrects and not value(self.corrector_begun):
            self.correction.load_state_dict(self.network.state_dict())
        self.corrector_begun.fill_(self.corrects)

    # -- inference ----------------------------------------------------------------------------
    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The geodesic of the predicted momentum, corrected as often as is said.

        It lies on the grid of the velocities.

        Raises
        ------
        InputError : images smaller than a patch
        """
        momentum, coarse = self._momentum(self.white(moving, fixed, grid), grid)
        return follow(momentum, self.kernel, self.shooting, coarse)

    def white(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Tensor:
        """K^1/2 m of the initial momentum m, (B, 3, X, Y, Z), corrections included."""
        white = self._said_by(self.network, moving, fixed)
        if self.correction is None:
            corrector, times = self.network, self.corrections
        else:
            corrector, times = self.correction, self.corrections * self.corrects
        for _ in range(times):
            pulled = self._pulled_back(fixed, white, grid)
            white = white + self._said_by(corrector, moving, pulled)
        return white

    def _pulled_back(self, fixed: Tensor, white: Tensor, grid: Grid) -> Tensor:
        """T o phi_1."""
        forward = self._path(white, grid).forward
        assert forward is not None
        return warp(fixed, resize_displacement(forward, grid.shape))

    def _momentum(self, white: Tensor, grid: Grid) -> tuple[Tensor, Grid]:
        """The momentum of a white variable on the networks' grid, on that of the velocities."""
        mm = self.velocity_mm
        coarse = grid if mm is None or mm <= min(grid.spacing) else grid.rescaled(mm)
        return momentum_of(resize_image(white, coarse.shape), self.kernel, coarse), coarse

    def _path(self, white: Tensor, grid: Grid) -> Path:
        momentum, coarse = self._momentum(white, grid)
        return followed(momentum, self.kernel, self.shooting, coarse)

    def _said_by(self, network: nn.Module, moving: Tensor, fixed: Tensor) -> Tensor:
        """The white variable a network says of whole images: the mean where patches overlap."""
        self._patches(moving)  # refuses images smaller than a patch
        pairs = zip(moving.split(1), fixed.split(1), strict=True)
        return self.scale * torch.cat([self._of_pair(network, *pair) for pair in pairs])

    def _of_pair(self, network: nn.Module, *images: Tensor) -> Tensor:
        """Patches begin where the brains do, and not at the grid's corner: they are fewer so."""
        white = images[0].new_zeros(1, 3, *images[0].shape[2:])
        box = filled_box(images, self.edge)
        if box is None:
            return white
        inside = [image[:, :, *box] for image in images]
        patches = self._patches(inside[0])
        which = patches.occupied(*inside)
        most = _ON_CPU if white.device.type == "cpu" else _ON_GPU
        cubes = [
            self.in_precision(network, *(patches.cut(image, some) for image in inside))
            for some in (which[n : n + most] for n in range(0, len(which), most))
        ]
        white[:, :, *box] = patches.joined(torch.cat(cubes), which)
        return white

    def _patches(self, image: Tensor) -> Patches:
        shape = tuple(image.shape[2:])
        if min(shape) < self.edge:
            size = "x".join(map(str, shape))
            problem = f"has {size} voxels on the network's grid, and a patch {self.edge} along each"
            raise InputError("image", problem, "take a smaller network_mm, or a larger image")
        return Patches(shape, self.edge, self.stride)

    # -- training -----------------------------------------------------------------------------
    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Mean over drawn patches of |P - w|, summed over the components, in units of `scale`.

        Of C, once its stage has begun: |C - (w - P)|, and P learns no more.

        Raises
        ------
        ValueError : a batch without the white variable of a teacher's momentum
        """
        if not isinstance(batch.target, Mapping) or "white" not in batch.target:
            raise ValueError("a batch without the white variable of a teacher's momentum")
        target, images = batch.target["white"], (batch.moving, batch.fixed)
        if self.correction is None or not self.corrects:
            return {"total": self._missed(self.network, *images, target)}
        with torch.no_grad():
            said = self._said_by(self.network, *images)
            pulled = self._pulled_back(batch.fixed, said, batch.grid)
        return {"total": self._missed(self.correction, batch.moving, pulled, target - said)}

    def _missed(self, network: nn.Module, moving: Tensor, fixed: Tensor, target: Tensor) -> Tensor:
        """On patches that are drawn from all of the first pair that are not empty."""
        patches = self._patches(moving)
        cubes = [patches.cut(image[:1]) for image in (moving, fixed, target / self.scale)]
        filled = (cubes[0].abs() + cubes[1].abs()).sum((1, 2, 3, 4)) > 0
        # A chance for all, but as good as none for empty ones: there is a sum to divide by.
        drawn = torch.multinomial(filled.float() + 1e-6, self.patches, replacement=True)
        source, goal, white = (cube.index_select(0, drawn) for cube in cubes)
        said = self.in_precision(network, source, goal)
        return (said - white).abs().sum(1).mean()

    # -- from the answer on -------------------------------------------------------------------
    def refined(self, steps: int, finest: float) -> Method:
        """LO from the predicted momentum: at most so many iterations at the network's voxel size.

        finest : mm, of the images that are compared
        """
        return RefinedQuicksilver(self, steps, finest)


class RefinedQuicksilver:
    """Quicksilver followed by iterations of LDDMM with its kernel and its matching."""

    def __init__(self, method: Quicksilver, steps: int, finest: float) -> None:
        self.method, self.steps, self.finest = method, steps, finest

    def register(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """Register (1, 1, X, Y, Z) images in [0, 1]; the parametrisation is a `Geodesic`."""
        start = self.method.register(moving, fixed, grid).parametrisation
        assert isinstance(start, Geodesic)
        kernel, inner = self.method.kernel, start.grid
        on_grid = KernelOnGrid(kernel, inner.shape, inner.spacing, moving.device)
        own = min(self.method.grid(grid).spacing)
        plan = LDDMM(
            kernel=kernel,
            matching=self.method.matching,
            levels_mm=(max(self.finest, own),),
            velocity_mm=min(inner.spacing),
            iterations=(self.steps,),
            shooting=self.method.shooting,
        )
        return plan.register_from(on_grid.root(start.momentum), moving, fixed, grid)


class ProbabilisticQuicksilver(Quicksilver):
    """Quicksilver with dropout: draws of the network are draws of the momentum.

    `register` has dropout off. The published code built the network of its draws without dropout,
    so that they were all the same; here it is on.
    """

    @torch.no_grad()
    def posterior(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Posterior:
        """Each draw drops one set of features, the same in all patches, and shoots."""
        inner = self.grid(grid)
        moving, fixed = (resize_image(image, inner.shape) for image in (moving, fixed))

        @torch.no_grad()
        def draw(generator: torch.Generator) -> Tensor:
            self.network.draw(int(torch.randint(2**31, (1,), generator=generator)))
            try:
                white = self._said_by(self.network, moving, fixed)
            finally:
                self.network.draw(None)
            return resize_displacement(self._path(white, inner).inverse, inner.shape)

        return Posterior(draw, inner)
