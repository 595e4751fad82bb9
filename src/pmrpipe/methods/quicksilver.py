"""Quicksilver: initial momenta predicted from patches, corrected, shot.

LP: m = P(M, T). LPC: T is pulled back along the path of m, T' = T o phi_1, and m + C(M, T') is
shot from M: both momenta live there at time 0, so that they add up, and the answer is one
geodesic. LPP has P in place of C; LPC2 and LPC3 correct twice and three times.

Source: Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396. Ours: the momenta are
learned in units of `scale`, a pair at a time, as the mean of the absolute difference where the
published loss is its sum; C is trained beside P, on what P says at that step.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.losses.matching import SquaredDifference
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.geodesic import Geodesic, follow, followed, momentum_on
from pmrpipe.methods.lddmm import LDDMM, Matching
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.posterior import Posterior
from pmrpipe.methods.protocols import Method
from pmrpipe.networks.patches import Patches, filled_box
from pmrpipe.networks.quicksilver import QuicksilverNetwork
from pmrpipe.spatial.geodesic import Path, Shooting
from pmrpipe.spatial.kernels import Fluid, Kernel, KernelOnGrid
from pmrpipe.spatial.resize import resize_displacement, resize_image
from pmrpipe.spatial.warp import warp

# Patches that go through the network at once: few enough for a processor's cache, many for a GPU.
_ON_CPU, _ON_GPU = 16, 128


class Quicksilver(NetworkMethod):
    """A network that predicts a teacher's initial momenta.

    Parameters
    ----------
    network : P, moving and fixed patches (B, 1, n, n, n) to (B, 3, n, n, n)
    correction : C, such a network too; None: there is none
    corrections : how often the momentum is corrected, by C or, without one, by P
    kernel, shooting : of the geodesics; the kernel is the teacher's
    scale : a momentum of that size is 1 to the networks
    edge, stride : of the patches, voxels
    patches : how many of a pair a step of the training sees
    matching : what `refined` minimises, with the energy of the path
    velocity_mm : voxel size at which geodesics are followed, as the teacher's: velocities are
        smooth; None: the networks' own
    """

    def __init__(
        self,
        network: QuicksilverNetwork,
        correction: QuicksilverNetwork | None = None,
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

    # -- inference ----------------------------------------------------------------------------
    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The geodesic of the predicted momentum, corrected as often as is said.

        It lies on the grid of the velocities.

        Raises
        ------
        InputError : images smaller than a patch
        """
        coarse = self._of_velocities(grid)
        momentum = momentum_on(self.momentum(moving, fixed, grid), self.kernel, grid, coarse)
        return follow(momentum, self.kernel, self.shooting, coarse)

    def momentum(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Tensor:
        """The initial momentum (B, 3, X, Y, Z), corrections included."""
        momentum = self._said_by(self.network, moving, fixed)
        corrector = self.network if self.correction is None else self.correction
        for _ in range(self.corrections):
            pulled = self._pulled_back(fixed, momentum, grid)
            momentum = momentum + self._said_by(corrector, moving, pulled)
        return momentum

    def _pulled_back(self, fixed: Tensor, momentum: Tensor, grid: Grid) -> Tensor:
        """T o phi_1."""
        forward = self._path(momentum, grid).forward
        assert forward is not None
        return warp(fixed, resize_displacement(forward, grid.shape))

    def _of_velocities(self, grid: Grid) -> Grid:
        """The grid on which geodesics are followed."""
        mm = self.velocity_mm
        return grid if mm is None or mm <= min(grid.spacing) else grid.rescaled(mm)

    def _path(self, momentum: Tensor, grid: Grid) -> Path:
        """The path of a momentum on the networks' grid, on that of the velocities."""
        coarse = self._of_velocities(grid)
        return followed(
            momentum_on(momentum, self.kernel, grid, coarse), self.kernel, self.shooting, coarse
        )

    def _said_by(self, network: nn.Module, moving: Tensor, fixed: Tensor) -> Tensor:
        """What a network says of whole images: the mean where patches overlap."""
        self._patches(moving)  # refuses images smaller than a patch
        pairs = zip(moving.split(1), fixed.split(1), strict=True)
        return self.scale * torch.cat([self._of_pair(network, *pair) for pair in pairs])

    def _of_pair(self, network: nn.Module, *images: Tensor) -> Tensor:
        """Patches begin where the brains do, and not at the grid's corner: they are fewer so."""
        momentum = images[0].new_zeros(1, 3, *images[0].shape[2:])
        box = filled_box(images, self.edge)
        if box is None:
            return momentum
        inside = [image[:, :, *box] for image in images]
        patches = self._patches(inside[0])
        which = patches.occupied(*inside)
        most = _ON_CPU if momentum.device.type == "cpu" else _ON_GPU
        cubes = [
            self.in_precision(network, *(patches.cut(image, some) for image in inside))
            for some in (which[n : n + most] for n in range(0, len(which), most))
        ]
        momentum[:, :, *box] = patches.joined(torch.cat(cubes), which)
        return momentum

    def _patches(self, image: Tensor) -> Patches:
        shape = tuple(image.shape[2:])
        if min(shape) < self.edge:
            size = "x".join(map(str, shape))
            problem = f"has {size} voxels on the network's grid, and a patch {self.edge} along each"
            raise InputError("image", problem, "take a smaller network_mm, or a larger image")
        return Patches(shape, self.edge, self.stride)

    # -- training -----------------------------------------------------------------------------
    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Mean over drawn patches of |P - m|, summed over the components, in units of `scale`.

        With C its own term too: |C - (m - P)|, P as it says at this step.

        Raises
        ------
        ValueError : a batch without a teacher's momentum
        """
        if not isinstance(batch.target, Mapping) or "momentum" not in batch.target:
            raise ValueError("a batch without the momentum of a teacher")
        target, images = batch.target["momentum"], (batch.moving, batch.fixed)
        terms = {"prediction": self._missed(self.network, *images, target)}
        if self.correction is not None:
            with torch.no_grad():
                said = self._said_by(self.network, *images)
                pulled = self._pulled_back(batch.fixed, said, batch.grid)
            left = target - said
            terms["correction"] = self._missed(self.correction, batch.moving, pulled, left)
        return {"total": torch.stack([*terms.values()]).sum(), **terms}

    def _missed(self, network: nn.Module, moving: Tensor, fixed: Tensor, target: Tensor) -> Tensor:
        """On patches that are drawn from all of the first pair that are not empty."""
        patches = self._patches(moving)
        cubes = [patches.cut(image[:1]) for image in (moving, fixed, target / self.scale)]
        filled = (cubes[0].abs() + cubes[1].abs()).sum((1, 2, 3, 4)) > 0
        # A chance for all, but as good as none for empty ones: there is a sum to divide by.
        drawn = torch.multinomial(filled.float() + 1e-6, self.patches, replacement=True)
        source, goal, momentum = (cube.index_select(0, drawn) for cube in cubes)
        said = self.in_precision(network, source, goal)
        return (said - momentum).abs().sum(1).mean()

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
                momentum = self._said_by(self.network, moving, fixed)
            finally:
                self.network.draw(None)
            return resize_displacement(self._path(momentum, inner).inverse, inner.shape)

        return Posterior(draw, inner)
