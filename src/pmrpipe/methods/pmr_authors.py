"""PMR as its first author's public code has it, where that differs from the paper."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import Similarity, mean_squared_difference
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import (
    SampledMethod,
    each_alone,
    on_image_grid,
    sample,
    velocity_deformation,
)
from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.warp import warp


class PMRAuthors(SampledMethod):
    """The mean of four latents; features are decoded from a latent instead of warped by it.

    Parameters
    ----------
    network : gives latents, and decodes them to features: `AuthorsNetwork`
    image : likelihood of the fixed image given the warped one
    integrator : from the velocity to the displacement
    prior : lambda of the prior's precision
    level_kl, level_feature : weights of each level's divergence and feature difference
    """

    def __init__(
        self,
        network: nn.Module,
        image: Similarity,
        integrator: Integrator,
        prior: float = 10.0,
        level_kl: float = 0.5,
        level_feature: float = 1.0,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network, self.image, self.integrator = network, image, integrator
        self.prior, self.factors = prior, FACTORS["implemented"]
        self.level_kl, self.level_feature = level_kl, level_feature

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The posterior mean's.

        The public code draws a sample here too, so that its predictions are random.
        """
        velocity = _mean([level.mean for level in self.predict(moving, fixed)])
        return velocity_deformation(velocity, self.integrator, moving, grid)

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[torch.Generator], Tensor]:
        """Draws of all latents, averaged and integrated."""
        latents = [(level.mean, level.log_variance) for level in self.predict(moving, fixed)]

        def draw(generator: torch.Generator) -> Tensor:
            velocity = _mean([sample(*latent, generator) for latent in latents])
            return on_image_grid(self.integrator(velocity), moving)

        return draw

    def contributions(self, moving: Tensor, fixed: Tensor, grid: Grid) -> list[Deformation]:
        """The deformation by each latent's mean alone, the decoder's last."""
        means = [level.mean for level in self.predict(moving, fixed)]
        return [
            velocity_deformation(_mean(latents), self.integrator, moving, grid)
            for latents in each_alone(means)
        ]

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Reconstruction, a divergence per latent, a feature difference per level."""
        moving, fixed = batch.moving, batch.fixed
        levels = self.predict(moving, fixed)
        samples = [sample(level.mean, level.log_variance) for level in levels]
        displacement = self.integrator(_mean(samples))
        image = self.image(fixed, warp(moving, on_image_grid(displacement, moving)))
        divergences = [self._divergence(level.mean, level.log_variance) for level in levels]
        terms = {"image": image, "image_kl": divergences.pop()}
        total = image + terms["image_kl"]
        decoded = zip(self.network.decode, samples, levels, divergences, strict=False)
        for number, (decode, z, level, divergence) in enumerate(decoded, 1):
            difference = mean_squared_difference(level.fixed, decode(z))
            terms |= {f"feature_{number}": difference, f"feature_kl_{number}": divergence}
            total = total + self.level_kl * divergence + self.level_feature * difference
        return terms | {"total": total}

    def _divergence(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        return sum(kullback_leibler(mean, log_variance, self.prior, self.factors).values())  # type: ignore[return-value]


def _mean(latents: list[Tensor]) -> Tensor:
    """Latents enlarged to the finest grid by repetition, their values as they are, averaged."""
    shape = tuple(latents[0].shape[2:])
    large = [torch.nn.functional.interpolate(z, shape, mode="nearest") for z in latents]
    return torch.stack(large).mean(0)
