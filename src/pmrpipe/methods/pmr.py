"""PMR: probabilistic multilayer regularization network (Liu et al., MICCAI 2019).

What the paper leaves open is a parameter here: how latents are brought to one size
(trilinearly, lengths rescaled to voxels of the finest level), the constants of Eq. 6, and how
features are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pmrpipe.losses.likelihood import Likelihood
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.network_method import LearnedMethod, each_alone, on_image_grid, sample
from pmrpipe.networks.multilayer import Level, MultilayerNetwork
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp


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
        velocity = self.combine([level.mean for level in self.predict(moving, fixed)])
        displacement = integrate(velocity, self.squarings)
        return on_image_grid(displacement, moving), on_image_grid(velocity, moving)

    @property
    def probabilistic(self) -> bool:  # type: ignore[override]
        return self.network.heads[0].log_variance is not None

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[torch.Generator], Tensor]:
        """Draws of all latents, combined and integrated."""
        latents = [(level.mean, level.log_variance) for level in self.predict(moving, fixed)]

        def draw(generator: torch.Generator) -> Tensor:
            velocity = self.combine([sample(*latent, generator) for latent in latents])
            return on_image_grid(integrate(velocity, self.squarings), moving)

        return draw

    def combine(self, latents: Sequence[Tensor]) -> Tensor:
        """Bring the latents to the finest level's grid and add them."""
        shape = self._finest(latents[0])
        return torch.stack([resize_displacement(z, shape, self.rescale) for z in latents]).sum(0)

    def _finest(self, first: Tensor) -> list[int]:
        """Shape of the finest level, which need not have a head, from the first latent's."""
        return [n * 2 ** (self.network.levels[0] - 1) for n in first.shape[2:]]

    def contributions(self, moving: Tensor, fixed: Tensor) -> list[Tensor]:
        """Displacement on the images' grid that each level's mean alone gives (Fig. 3 b to d)."""
        means = [level.mean for level in self.predict(moving, fixed)]
        return [
            on_image_grid(integrate(self.combine(latents), self.squarings), moving)
            for latents in each_alone(means)
        ]

    # -- training -----------------------------------------------------------------------------
    def objective(self, moving: Tensor, fixed: Tensor) -> dict[str, Tensor]:
        """Eq. 5: L_KL of the images plus the weighted L_KL of the features of every level.

        Without log-variances (Baseline-1) there is nothing to sample, no feature term, and of
        the divergence only the smoothness.
        """
        levels = self.predict(moving, fixed)
        samples = [_drawn(level) for level in levels]
        terms = self._image_term(moving, fixed, levels, samples)
        total = terms["image"] + terms["image_kl"]
        for number, level, z in zip(self.network.levels, levels, samples, strict=True):
            terms[f"feature_norm_{number}"] = level.fixed.detach().abs().mean()
            if level.log_variance is not None:
                likelihood, divergence = self._feature_term(level, z, number - 1)
                terms |= {f"feature_{number}": likelihood, f"feature_kl_{number}": divergence}
                total = total + self.level_weights[number - 1] * (likelihood + divergence)
        return terms | {"total": total}

    def _image_term(
        self, moving: Tensor, fixed: Tensor, levels: list[Level], samples: list[Tensor]
    ) -> dict[str, Tensor]:
        displacement = integrate(self.combine(samples), self.squarings)
        warped = warp(moving, on_image_grid(displacement, moving))
        mean = self.combine([level.mean for level in levels])
        divergence = kullback_leibler(mean, self._log_variance(levels), self.prior, self.factors)
        return {"image": self.image(fixed, warped), "image_kl": sum(divergence.values())}  # type: ignore[dict-item]

    def _log_variance(self, levels: list[Level]) -> Tensor | None:
        """Log-variance of the sum: variances add, and scale with the square of lengths.

        Interpolation weights are taken as one: neighbours of a coarse latent are not averaged.
        """
        shape, total = self._finest(levels[0].mean), 0.0
        for level in levels:
            if level.log_variance is None:
                return None
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


def _drawn(level: Level) -> Tensor:
    return level.mean if level.log_variance is None else sample(level.mean, level.log_variance)
