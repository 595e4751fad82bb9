"""VoxelMorph-diff: probabilistic diffeomorphic registration (Dalca et al., MICCAI 2018)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import Similarity
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import (
    SampledMethod,
    on_image_grid,
    sample,
    velocity_deformation,
)
from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.warp import warp


class VoxelMorph(SampledMethod):
    """One velocity at half resolution, and Eq. 6 of PMR on the images alone.

    Parameters
    ----------
    network : moving and fixed to mean and log-variance of a velocity, such as `VelocityUNet`
    image : likelihood of the fixed image given the warped one
    integrator : from the velocity to the displacement
    prior : lambda of the prior's precision
    factors : constants of Eq. 6, "exact" or "implemented"; those of `image` must be the same
    """

    def __init__(
        self,
        network: nn.Module,
        image: Similarity,
        integrator: Integrator,
        prior: float = 10.0,
        factors: str = "implemented",
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network, self.image, self.integrator = network, image, integrator
        self.prior, self.factors = prior, FACTORS[factors]

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The posterior mean's."""
        velocity, _ = self.predict(moving, fixed)
        return velocity_deformation(velocity, self.integrator, moving, grid)

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[Generator], Tensor]:
        """Draws of the velocity, integrated."""
        mean, log_variance = self.predict(moving, fixed)

        def draw(generator: Generator) -> Tensor:
            velocity = sample(mean, log_variance, generator)
            return on_image_grid(self.integrator(velocity), moving)

        return draw

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 6 with one sample of the velocity."""
        moving, fixed = batch.moving, batch.fixed
        mean, log_variance = self.predict(moving, fixed)
        displacement = self.integrator(sample(mean, log_variance))
        image = self.image(fixed, warp(moving, on_image_grid(displacement, moving)))
        divergence = kullback_leibler(mean, log_variance, self.prior, self.factors)
        terms = {"image": image, **divergence}
        return terms | {"total": sum(terms.values())}  # type: ignore[return-value]
