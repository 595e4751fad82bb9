"""pmr-plus: multilayer probabilistic regularisation carried on, coarse to fine and symmetric.

As in PMR (Liu et al., MICCAI 2019) every level of a feature pyramid has a probabilistic model of a
velocity and a term of its own in the loss. Different are

- the order: a level sees features that the coarser levels' velocities have aligned, and adds what
  they left (Ranjan & Black, CVPR 2017; Mok & Chung, MICCAI 2020); with `passes` it does so several
  times with the same weights (Teed & Deng, ECCV 2020);
- the symmetry: both images are warped half-way, and exchanging them inverts the result (Avants et
  al., MedIA 12 (2008); Honkamaa & Marttinen, MELBA 2 (2024)).

With a_l = exp(v_l / 2) of pass l, pass 1 of the coarsest level first, moving is sampled at
a_1 ∘ ... ∘ a_L ∘ a_L ∘ ... ∘ a_1, whose inverse has -v_l in place of v_l.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pmrpipe.images.volume import Grid
from pmrpipe.losses.similarity import Similarity, local_correlation_map
from pmrpipe.losses.variational import FACTORS, kullback_leibler
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.forces import LEAST_FORCE, between
from pmrpipe.methods.network_method import SampledMethod, sample
from pmrpipe.networks.blocks import prepared
from pmrpipe.spatial.integrate import compose, integrate
from pmrpipe.spatial.resize import crop, pad_to_multiple, resize_displacement
from pmrpipe.spatial.warp import warp

# Edge of the local correlation's cube, voxels, whose force the finest head sees.
_FORCE_WINDOW = 5


@dataclass
class LevelStep:
    """What one pass of a level adds; all in voxels of its grid, (B, C, x, y, z).

    level : counted from the finest, 0
    velocity : the draw or the mean that was used
    features : those of moving, then those of fixed, (2 B, C, x, y, z)
    halfway : displacements from the middle to moving, then to fixed, of all passes up to this one
    """

    level: int
    mean: Tensor
    log_variance: Tensor | None
    velocity: Tensor
    features: Tensor
    halfway: Tensor


@dataclass(frozen=True, eq=False)
class LevelVelocities:
    """Parametrisation by a velocity for each pass: the inverse has the opposite ones.

    velocities : coarsest level first, (B, 3, x, y, z) in voxels of their own grids
    image : (B, C, X, Y, Z) on the deformation's grid
    whole : puts the passes together, `PMRPlus.whole`
    """

    velocities: Sequence[Tensor]
    image: Tensor
    whole: Callable[[Sequence[Tensor], Tensor], Tensor]

    def displacement(self) -> Tensor:
        """(B, 3, X, Y, Z) in voxels of the image's grid."""
        return self.whole(self.velocities, self.image)

    def inverse(self, displacement: Tensor) -> tuple[Tensor, LevelVelocities]:
        """As many compositions as the way there."""
        back = LevelVelocities([-v for v in self.velocities], self.image, self.whole)
        return back.displacement(), back


class PMRPlus(SampledMethod):
    """Network and objective.

    Parameters
    ----------
    network : a pyramid of features and a head for each of its levels: `PyramidNetwork`
    image, feature : likelihoods for the images and for every level's features
    prior : lambda of the prior's precision, of each level, finest first
    feature_weight : lambda_l of Eq. 5, the same for all levels
    window : edge of the cube (voxels, odd) within which the network's input is standardised
    factors : constants of the divergences (Eq. 6 of PMR), "exact" or "implemented";
        those of the likelihoods must be alike
    squarings : of scaling and squaring of each level's half velocity
    passes : of each level's head, finest first; none named: one each
    """

    learns_contrasts = True

    def __init__(
        self,
        network: nn.Module,
        image: Similarity,
        feature: Similarity,
        prior: Sequence[float] = (150.0, 150.0, 150.0),
        feature_weight: float = 0.1,
        window: int = 5,
        factors: str = "implemented",
        squarings: int = 4,
        passes: Sequence[int] = (),
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.network, self.image, self.feature = network, image, feature
        heads: Any = network.levels
        if len(prior) != len(heads):
            raise ValueError(f"{len(prior)} priors for {len(heads)} heads")
        self.passes = tuple(passes) or (1,) * len(heads)
        if len(self.passes) != len(heads) or min(self.passes) < 1:
            raise ValueError(f"passes {list(passes)} for {len(heads)} heads")
        self.prior, self.factors = tuple(prior), FACTORS[factors]
        self.feature_weight, self.window, self.squarings = feature_weight, window, squarings

    # -- the levels ---------------------------------------------------------------------------
    def steps(
        self,
        moving: Tensor,
        fixed: Tensor,
        draw: Callable[[Tensor, Tensor], Tensor] | None = None,
        finest: int = 0,
    ) -> list[LevelStep]:
        """Passes, coarsest level first, to level `finest`; `draw` samples, None takes the mean."""
        images = torch.cat([moving, fixed])
        seen = prepared(images, self.window, self.network.multiple)
        features = self.in_precision(self.network.pyramid, seen)
        images = pad_to_multiple(images, self.network.multiple)
        # Moving and fixed stay one batch throughout: two threads work on it, one on each.
        halfway: Tensor | None = None
        steps = []
        for level in self._order(finest):
            head, both = self.network.levels[level], features[level]
            aligned, force = both, tuple[Tensor, ...]()
            if halfway is not None:
                halfway = resize_displacement(halfway, both.shape[2:])
                aligned = warp(both, halfway)
                force = (_force(images, halfway),) if head.forced else ()
            mean, log_variance = self.in_precision(head, *aligned.chunk(2), *force)
            velocity = mean if draw is None or log_variance is None else draw(mean, log_variance)
            added = torch.cat([velocity, -velocity]) / 2
            added = integrate(added, self.squarings, midpoint=True)
            halfway = added if halfway is None else compose(added, halfway)
            steps.append(LevelStep(level, mean, log_variance, velocity, both, halfway))
        return steps

    def _order(self, finest: int) -> list[int]:
        """The level of every pass, down to `finest`."""
        levels = reversed(range(finest, len(self.passes)))
        return [level for level in levels for _ in range(self.passes[level])]

    def whole(self, velocities: Sequence[Tensor], image: Tensor) -> Tensor:
        """Displacement on the grid of `image` of the passes' velocities, coarsest first."""
        shape = [-(-n // self.network.multiple) * self.network.multiple for n in image.shape[2:]]
        finest = velocities[-1].shape[2:]
        halves = [resize_displacement(integrate(v / 2, self.squarings), finest) for v in velocities]
        total = halves[0]
        for half in [*halves[1:], *reversed(halves)]:
            total = compose(half, total)
        return crop(resize_displacement(total, shape), image.shape[2:])

    # -- inference ----------------------------------------------------------------------------
    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """That of the posterior means, with its inverse from the same pass of the network."""
        return self._deformation(self.steps(moving, fixed), moving, grid)

    @torch.no_grad()
    def start(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The answer without the level of the image's own size, which takes most of the time.

        Instance optimisation, which begins with coarse voxels, would not see what it adds.
        """
        inner, finest = self.grid(grid), int(self.network.own is not None)
        images = self.seen(moving, inner), self.seen(fixed, inner)
        return self._deformation(self.steps(*images, finest=finest), images[0], inner)

    def _deformation(self, steps: Sequence[LevelStep], image: Tensor, grid: Grid) -> Deformation:
        levels = LevelVelocities([step.mean for step in steps], image, self.whole)
        return Deformation(levels.displacement(), grid, levels)

    def sampler(self, moving: Tensor, fixed: Tensor) -> Callable[[torch.Generator], Tensor]:
        """Draws pass by pass: each sees what the draws before it aligned."""

        def draw(generator: torch.Generator) -> Tensor:
            steps = self.steps(moving, fixed, lambda mean, var: sample(mean, var, generator))
            return self.whole([step.velocity for step in steps], moving)

        return draw

    def contributions(self, moving: Tensor, fixed: Tensor, grid: Grid) -> list[Deformation]:
        """The deformation that each level's means alone give, finest first."""
        steps = self.steps(moving, fixed)
        deformations = []
        for level in range(len(self.passes)):
            alone = [s.mean if s.level == level else torch.zeros_like(s.mean) for s in steps]
            velocities = LevelVelocities(alone, moving, self.whole)
            deformations.append(Deformation(velocities.displacement(), grid, velocities))
        return deformations

    # -- training -----------------------------------------------------------------------------
    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 5 of PMR with images and features compared half-way."""
        moving, fixed = batch.moving, batch.fixed
        steps = self.steps(moving, fixed, sample)
        first = self.network.finest + (self.network.own is None)
        terms: dict[str, Tensor] = {}
        total = moving.new_zeros(())
        for step in reversed(steps):
            parts = kullback_leibler(
                step.mean, step.log_variance, self.prior[step.level], self.factors
            )
            divergence = sum(parts.values(), moving.new_zeros(()))
            likelihood = moving.new_zeros(())
            if self.feature_weight:
                m, f = warp(step.features, step.halfway).chunk(2)
                likelihood = self.feature(f, m)
            for name, term in (("feature", likelihood), ("kl", divergence)):
                key = f"{name}_{first + step.level}"
                terms[key] = terms.get(key, 0) + term
            total = total + self.feature_weight * likelihood + divergence
        images = pad_to_multiple(torch.cat(batch.compared), self.network.multiple)
        m, f = warp(images, resize_displacement(steps[-1].halfway, images.shape[2:])).chunk(2)
        terms["image"] = self.image(f, m)
        return terms | {"total": total + terms["image"]}


@torch.no_grad()
def _force(images: Tensor, halfway: Tensor) -> Tensor:
    """What draws moving and fixed, (2 B, 1, X, Y, Z), together half-way, in units of its own RMS.

    (B, 3, X, Y, Z), as in instance optimisation (methods/forces.py); without a gradient.
    """
    moving, fixed = warp(images.float(), halfway).chunk(2)
    _, slopes = local_correlation_map(moving, fixed, _FORCE_WINDOW)
    force = between((moving, fixed), slopes)
    typical = force.square().sum(1, keepdim=True).mean((2, 3, 4), keepdim=True).sqrt()
    return force / typical.clamp_min(LEAST_FORCE)
