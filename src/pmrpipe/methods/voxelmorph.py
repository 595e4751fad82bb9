"""VoxelMorph-diff: probabilistic diffeomorphic registration (Dalca et al., MICCAI 2018)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Generator, Tensor

from pmrpipe.losses.likelihood import Likelihood
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.network_method import LearnedMethod, on_image_grid, sample
from pmrpipe.networks.unet import VelocityUNet
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.warp import warp


class VoxelMorph(LearnedMethod):
    """One velocity at half resolution, and Eq. 6 of PMR on the images alone.

    Parameters
    ----------
    network : arguments of `VelocityUNet`
    image : arguments of `Likelihood`
    prior : lambda of the prior's precision
    factors : constants of Eq. 6, "exact" or "implemented"
    squarings : of scaling and squaring
    """

    probabilistic = True

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        image: dict[str, Any] | None = None,
        prior: float = 10.0,
        factors: str = "implemented",
        squarings: int = 7,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network = VelocityUNet(**(network or {}))
        self.image = Likelihood(**(image or {}), factors=factors)
        self.prior, self.factors, self.squarings = prior, FACTORS[factors], squarings

    def deform(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement and velocity of the posterior mean, on the images' grid."""
        velocity, _ = self.predict(moving, fixed)
        displacement = integrate(velocity, self.squarings)
        return on_image_grid(displacement, moving), on_image_grid(velocity, moving)

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[Generator], Tensor]:
        """Draws of the velocity, integrated."""
        mean, log_variance = self.predict(moving, fixed)

        def draw(generator: Generator) -> Tensor:
            velocity = sample(mean, log_variance, generator)
            return on_image_grid(integrate(velocity, self.squarings), moving)

        return draw

    def objective(self, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
        """Eq. 6 with one sample of the velocity."""
        mean, log_variance = self.predict(moving, fixed)
        displacement = integrate(sample(mean, log_variance), self.squarings)
        image = self.image(fixed, warp(moving, on_image_grid(displacement, moving)))
        divergence = kullback_leibler(mean, log_variance, self.prior, self.factors)
        terms = {"image": image, **divergence}
        return terms | {"total": sum(terms.values())}  # type: ignore[dict-item]
