"""PMR: probabilistic multilayer regularization network (Liu et al., MICCAI 2019).

What the paper leaves open is a parameter here: how latents are brought to one size
(trilinearly, lengths rescaled to voxels of the finest level), the constants of Eq. 6, and how
features are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import Similarity
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.network_method import (
    NetworkMethod,
    SampledMethod,
    each_alone,
    on_image_grid,
    sample,
    velocity_deformation,
)
from pmrpipe.networks.multilayer import Level
from pmrpipe.spatial.integrate import Integrator
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp


class MultilayerVelocity(NetworkMethod):
    """Velocities of several levels, added up; not probabilistic: Baseline-1 of the paper.

    Parameters
    ----------
    network : moving and fixed to a list of `Level`, finest first: `MultilayerNetwork`
    image : likelihood of the fixed image given the warped one
    integrator : from the velocity to the displacement
    prior : lambda of the prior's precision
    factors : constants of Eq. 6, "exact" or "implemented"; those of the likelihoods must be alike
    rescale : True: a latent is in voxels of its own level, and keeps its length when it is
        enlarged; False: all latents are in voxels of the finest level, so that one prior holds
        for all and a coarse level's noise is not magnified
    """

    def __init__(
        self,
        network: nn.Module,
        image: Similarity,
        integrator: Integrator,
        prior: float = 10.0,
        factors: str = "implemented",
        rescale: bool = True,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network, self.image, self.integrator = network, image, integrator
        self.prior, self.factors, self.rescale = prior, FACTORS[factors], rescale

    # -- inference ----------------------------------------------------------------------------
    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """That of the means."""
        velocity = self.combine([level.mean for level in self.predict(moving, fixed)])
        return velocity_deformation(velocity, self.integrator, moving, grid)

    def combine(self, latents: Sequence[Tensor]) -> Tensor:
        """Bring the latents to the finest level's grid and add them."""
        shape = self._finest(latents[0])
        return torch.stack([resize_displacement(z, shape, self.rescale) for z in latents]).sum(0)

    def _finest(self, first: Tensor) -> list[int]:
        """Shape of the finest level, which need not have a head, from the first latent's."""
        return [n * 2 ** (self.network.levels[0] - 1) for n in first.shape[2:]]

    def contributions(self, moving: Tensor, fixed: Tensor, grid: Grid) -> list[Deformation]:
        """The deformation that each level's mean alone gives (Fig. 3 b to d), finest first."""
        means = [level.mean for level in self.predict(moving, fixed)]
        return [
            velocity_deformation(self.combine(latents), self.integrator, moving, grid)
            for latents in each_alone(means)
        ]

    # -- training -----------------------------------------------------------------------------
    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """The image term of Eq. 5 without samples: of the divergence the smoothness remains."""
        levels = self.predict(batch.moving, batch.fixed)
        terms = self._image_term(batch, levels, [level.mean for level in levels])
        return terms | self._norms(levels) | {"total": terms["image"] + terms["image_kl"]}

    def _norms(self, levels: list[Level]) -> dict[str, Tensor]:
        """Size of each level's features, which tells whether they collapse."""
        numbered = zip(self.network.levels, levels, strict=True)
        return {f"feature_norm_{n}": level.fixed.detach().abs().mean() for n, level in numbered}

    def _image_term(
        self, batch: Batch, levels: list[Level], samples: list[Tensor]
    ) -> dict[str, Tensor]:
        displacement = self.integrator(self.combine(samples))
        warped = warp(batch.moving, on_image_grid(displacement, batch.moving))
        mean = self.combine([level.mean for level in levels])
        divergence = kullback_leibler(mean, self._log_variance(levels), self.prior, self.factors)
        return {"image": self.image(batch.fixed, warped), "image_kl": sum(divergence.values())}  # type: ignore[dict-item]

    def _log_variance(self, levels: list[Level]) -> Tensor | None:
        """Log-variance of the sum: variances add, and scale with the square of lengths.

        Interpolation weights are taken as one: neighbours of a coarse latent are not averaged.
        """
        shape = self._finest(levels[0].mean)
        total = levels[0].mean.new_zeros(())
        for level in levels:
            if level.log_variance is None:
                return None
            variance = resize_displacement(level.log_variance.exp(), shape, rescale=False)
            zoom = [m / n for n, m in zip(level.mean.shape[2:], shape, strict=True)]
            scale = variance.new_tensor(zoom if self.rescale else [1.0] * 3).square()
            total = total + variance * scale.view(1, 3, 1, 1, 1)
        return total.log()


class PMR(SampledMethod, MultilayerVelocity):
    """A posterior at every level, and a term of Eq. 5 for the features of each.

    Parameters
    ----------
    network : as for `MultilayerVelocity`, with log-variances
    feature : likelihood of the fixed image's features given the warped moving ones
    level_weights : lambda_l of Eq. 5
    the others : see of `MultilayerVelocity`
    """

    def __init__(
        self,
        network: nn.Module,
        image: Similarity,
        feature: Similarity,
        integrator: Integrator,
        prior: float = 10.0,
        factors: str = "implemented",
        level_weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        rescale: bool = True,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network, image, integrator, prior, factors, rescale, network_mm)
        heads: Any = network.heads
        if heads[0].log_variance is None:
            raise ValueError("PMR needs a network with log-variances: see MultilayerVelocity")
        self.feature, self.level_weights = feature, tuple(level_weights)

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[torch.Generator], Tensor]:
        """Draws of all latents, combined and integrated."""
        latents = [(level.mean, level.log_variance) for level in self.predict(moving, fixed)]

        def draw(generator: torch.Generator) -> Tensor:
            velocity = self.combine([sample(*latent, generator) for latent in latents])
            return on_image_grid(self.integrator(velocity), moving)

        return draw

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 5: L_KL of the images plus the weighted L_KL of the features of every level."""
        levels = self.predict(batch.moving, batch.fixed)
        samples = [sample(level.mean, level.log_variance) for level in levels]
        terms = self._image_term(batch, levels, samples) | self._norms(levels)
        total = terms["image"] + terms["image_kl"]
        for number, level, z in zip(self.network.levels, levels, samples, strict=True):
            likelihood, divergence = self._feature_term(level, z, number - 1)
            terms |= {f"feature_{number}": likelihood, f"feature_kl_{number}": divergence}
            total = total + self.level_weights[number - 1] * (likelihood + divergence)
        return terms | {"total": total}

    def _feature_term(self, level: Level, z: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """L_KL(f_x, f_y) of one level: its own velocity warps its own features."""
        # Coarse levels have voxels of 2, 4, 8 finest ones.
        own = z if self.rescale else z / 2**depth
        warped = warp(level.moving, self.integrator(own))
        divergence = kullback_leibler(level.mean, level.log_variance, self.prior, self.factors)
        return self.feature(level.fixed, warped), sum(divergence.values())  # type: ignore[return-value]
