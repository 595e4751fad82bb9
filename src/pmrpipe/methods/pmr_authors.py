"""PMR as its first author's public code has it, where that differs from the paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pmrpipe.losses.likelihood import Likelihood
from pmrpipe.losses.similarity import mean_squared_difference
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.network_method import LearnedMethod, each_alone, on_image_grid, sample
from pmrpipe.networks.pmr_authors import AuthorsNetwork
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.warp import warp


class PMRAuthors(LearnedMethod):
    """The mean of four latents; features are decoded from a latent instead of warped by it.

    Parameters
    ----------
    network : arguments of `AuthorsNetwork`
    image : arguments of `Likelihood`
    prior : lambda of the prior's precision
    level_kl, level_feature : weights of each level's divergence and feature difference
    squarings : of scaling and squaring
    """

    probabilistic = True

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        image: dict[str, Any] | None = None,
        prior: float = 10.0,
        level_kl: float = 0.5,
        level_feature: float = 1.0,
        squarings: int = 7,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network = AuthorsNetwork(**(network or {}))
        self.image = Likelihood(**(image or {}), factors="implemented")
        self.prior, self.factors = prior, FACTORS["implemented"]
        self.level_kl, self.level_feature, self.squarings = level_kl, level_feature, squarings

    def deform(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement and velocity of the posterior mean, on the images' grid.

        The public code draws a sample here too, so that its predictions are random.
        """
        velocity = _mean([level.mean for level in self.predict(moving, fixed)])
        displacement = integrate(velocity, self.squarings)
        return on_image_grid(displacement, moving), on_image_grid(velocity, moving)

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[torch.Generator], Tensor]:
        """Draws of all latents, averaged and integrated."""
        latents = [(level.mean, level.log_variance) for level in self.predict(moving, fixed)]

        def draw(generator: torch.Generator) -> Tensor:
            velocity = _mean([sample(*latent, generator) for latent in latents])
            return on_image_grid(integrate(velocity, self.squarings), moving)

        return draw

    def contributions(self, moving: Tensor, fixed: Tensor) -> list[Tensor]:
        """Displacement on the images' grid by each latent's mean alone, the decoder's last."""
        means = [level.mean for level in self.predict(moving, fixed)]
        return [
            on_image_grid(integrate(_mean(latents), self.squarings), moving)
            for latents in each_alone(means)
        ]

    def objective(self, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
        """Reconstruction, a divergence per latent, a feature difference per level."""
        levels = self.predict(moving, fixed)
        samples = [sample(level.mean, level.log_variance) for level in levels]
        displacement = integrate(_mean(samples), self.squarings)
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
