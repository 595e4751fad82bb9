"""PMR: probabilistic multilayer regularization network (Liu et al., MICCAI 2019).

What the paper leaves open is a parameter here: how latents are brought to one size
(trilinearly, lengths rescaled to voxels of the finest level), the constants of Eq. 6, and how
features are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pmrpipe.losses.similarity import local_correlation, mean_squared_difference
from pmrpipe.losses.variational import FACTORS, kullback_leibler, reconstruction
from pmrpipe.methods.base import LearnedMethod
from pmrpipe.networks.blocks import standardised
from pmrpipe.networks.multilayer import Level, MultilayerNetwork
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.resize import crop, resize_displacement
from pmrpipe.spatial.warp import warp


class Likelihood:
    """Negative log likelihood of fixed given warped, up to constants.

    Parameters
    ----------
    similarity : "mse", factor * (y - y')^2 / sigma^2, or "cc", (1 - local cc) / sigma^2
    sigma : standard deviation of the noise (for "cc" of the correlation deficit)
    window : edge of the correlation's cube, voxels
    standardise : compare channels with mean 0 and deviation 1. The feature term of Eq. 5 has a
        trivial minimum, features -> 0; on standardised channels (and for "cc" by itself) it
        does not depend on their scale, so nothing pulls them there.
    """

    def __init__(
        self,
        similarity: str = "mse",
        sigma: float = 0.02,
        window: int = 9,
        standardise: bool = False,
        factors: str = "implemented",
    ) -> None:
        if similarity not in ("mse", "cc"):
            raise ValueError(f"unknown similarity {similarity}: mse or cc")
        self.similarity, self.sigma, self.window = similarity, sigma, window
        self.standardise, self.factors = standardise, FACTORS[factors]

    def __call__(self, fixed: Tensor, warped: Tensor) -> Tensor:
        # The exact form of Eq. 6 sums over voxels, as its divergence does.
        count = 1 if self.factors.mean else fixed[0].numel()
        if self.similarity == "cc":
            return count * (1 - local_correlation(fixed, warped, self.window)) / self.sigma**2
        if self.standardise:
            fixed, warped = standardised(fixed), standardised(warped)
        difference = count * mean_squared_difference(fixed, warped)
        return reconstruction(difference, self.sigma, self.factors)


class PMR(LearnedMethod):
    """Network and objective of PMR.

    Parameters
    ----------
    network : arguments of `MultilayerNetwork`
    image, feature : arguments of `Likelihood` for images and feature maps
    prior : lambda of the prior's precision
    factors : constants of Eq. 6, "exact" or "implemented"
    level_weights : lambda_l of Eq. 5
    rescale : True: a latent is in voxels of its own level, and keeps its length when it is
        enlarged; False: all latents are in voxels of the finest level, so that one prior holds
        for all and a coarse level's noise is not magnified
    squarings : of scaling and squaring
    """

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        image: dict[str, Any] | None = None,
        feature: dict[str, Any] | None = None,
        prior: float = 10.0,
        factors: str = "implemented",
        level_weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        rescale: bool = True,
        squarings: int = 7,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network = MultilayerNetwork(**(network or {}))
        self.image = Likelihood(**(image or {}), factors=factors)
        self.feature = Likelihood(**(feature or {}), factors=factors)
        self.prior, self.factors = prior, FACTORS[factors]
        self.level_weights, self.rescale, self.squarings = tuple(level_weights), rescale, squarings

    # -- inference ----------------------------------------------------------------------------
    def deform(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
        """Displacement and velocity of the posterior mean, on the images' grid."""
        levels = self.network(moving, fixed)
        velocity = self.combine([level.mean for level in levels])
        return self._enlarged(integrate(velocity, self.squarings), moving), self._enlarged(
            velocity, moving
        )

    def combine(self, latents: Sequence[Tensor]) -> Tensor:
        """Bring the latents to the finest level's grid and add them."""
        shape = latents[0].shape[2:]
        return torch.stack([resize_displacement(z, shape, self.rescale) for z in latents]).sum(0)

    def _enlarged(self, field: Tensor, image: Tensor) -> Tensor:
        """A field of the finest level on the padded image's grid, cropped to the image."""
        padded = [2 * n for n in field.shape[2:]]
        return crop(resize_displacement(field, padded), image.shape[2:])

    # -- training -----------------------------------------------------------------------------
    def objective(self, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
        """Eq. 5: L_KL of the images plus the weighted L_KL of the features of every level."""
        levels = self.network(moving, fixed)
        samples = [_sample(level) for level in levels]
        terms = self._image_term(moving, fixed, levels, samples)
        total = terms["image"] + terms["image_kl"]
        for number, (level, z) in enumerate(zip(levels, samples, strict=True), 1):
            likelihood, divergence = self._feature_term(level, z, number - 1)
            terms |= {f"feature_{number}": likelihood, f"feature_kl_{number}": divergence}
            total = total + self.level_weights[number - 1] * (likelihood + divergence)
            terms[f"feature_norm_{number}"] = level.fixed.detach().abs().mean()
        return terms | {"total": total}

    def _image_term(
        self, moving: Tensor, fixed: Tensor, levels: list[Level], samples: list[Tensor]
    ) -> dict[str, Tensor]:
        displacement = integrate(self.combine(samples), self.squarings)
        warped = warp(moving, self._enlarged(displacement, moving))
        mean = self.combine([level.mean for level in levels])
        divergence = kullback_leibler(mean, self._log_variance(levels), self.prior, self.factors)
        return {"image": self.image(fixed, warped), "image_kl": sum(divergence.values())}  # type: ignore[dict-item]

    def _log_variance(self, levels: list[Level]) -> Tensor:
        """Log-variance of the sum: variances add, and scale with the square of lengths.

        Interpolation weights are taken as one: neighbours of a coarse latent are not averaged.
        """
        shape, total = levels[0].mean.shape[2:], 0.0
        for level in levels:
            variance = resize_displacement(level.log_variance.exp(), shape, rescale=False)
            zoom = [m / n for n, m in zip(level.mean.shape[2:], shape, strict=True)]
            scale = variance.new_tensor(zoom if self.rescale else [1.0] * 3).square()
            total = total + variance * scale.view(1, 3, 1, 1, 1)
        return total.log()  # type: ignore[union-attr]

    def _feature_term(self, level: Level, z: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """L_KL(f_x, f_y) of one level: its own velocity warps its own features."""
        # Coarse levels have voxels of 2, 4, 8 finest ones.
        own = z if self.rescale else z / 2**depth
        warped = warp(level.moving, integrate(own, self.squarings))
        divergence = kullback_leibler(level.mean, level.log_variance, self.prior, self.factors)
        return self.feature(level.fixed, warped), sum(divergence.values())  # type: ignore[return-value]

    def contributions(self, moving: Tensor, fixed: Tensor) -> list[Tensor]:
        """Displacement on the images' grid that each level's mean alone gives (Fig. 3 b to d)."""
        means = [level.mean for level in self.network(moving, fixed)]
        alone = [
            [m if i == n else torch.zeros_like(m) for i, m in enumerate(means)]
            for n in range(len(means))
        ]
        return [
            self._enlarged(integrate(self.combine(latents), self.squarings), moving)
            for latents in alone
        ]


def _sample(level: Level) -> Tensor:
    """One draw by reparameterisation: z = mu + exp(log_variance / 2) eps."""
    return level.mean + (level.log_variance / 2).exp() * torch.randn_like(level.mean)
