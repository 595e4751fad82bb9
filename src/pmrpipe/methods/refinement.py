"""How a pair is optimised: levels, steps and widths."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pmrpipe.images.volume import Grid

# Levels finer than this take fewer steps.
_COSTLY_MM = 1.9
# Below this voxel size the window is kept in mm. A level finer than it takes the place of one whose
# voxels are larger by less than the factor.
_ORDINARY_MM, _APART = 1.0, 1.3
# Voxels of the displacements in those of a level's images: what the prior leaves is no finer.
_COARSER, _LEAST_EDGE = 2.0, 4


@dataclass(frozen=True)
class Refinement:
    """How a pair is optimised.

    steps : most steps on each level; a quarter of them on levels finer than 2 mm, which cost
        eight times as much and have little left to do
    mm : voxel size of each level's images, coarse to fine; those finer than the images are left out
    rate : typical length of an update, voxels of the displacements
    window : edge of the local correlation's cube, voxels
    fluid, elastic : deviation, voxels of the displacements, of the Gaussian that smooths each
        update, and of the one that smooths the whole displacements after it: the prior
    across : the images are of two contrasts: their self-similarities are compared
    finest : below 1 mm: one more level, at the images' own voxels or, if that is larger, at these
    whole : most voxels of a level that is worked on at once; a larger one goes in blocks. None: as
        suits the device
    """

    steps: int = 40
    mm: tuple[float, ...] = (8.0, 4.0, 2.0, 1.0)
    rate: float = 0.3
    window: int = 5
    fluid: float = 0.7
    elastic: float = 0.7
    across: bool = False
    finest: float = 1.0
    whole: int | None = None

    def down_to(self, finest: float) -> Refinement:
        """The same without levels finer than `finest` mm; the coarsest one stays."""
        levels = tuple(mm for mm in self.mm if mm >= finest) or self.mm[:1]
        return replace(self, mm=levels, finest=finest)

    def levels(self, spacing: float) -> list[float]:
        """Voxel sizes, coarse to fine, for images of `spacing` mm."""
        levels = [mm for mm in self.mm if mm > 0.99 * spacing] or [spacing]
        own = max(spacing, self.finest)
        if levels[-1] > _ORDINARY_MM or own > 0.99 * levels[-1]:
            return levels
        return [mm for mm in levels if mm >= _APART * own] + [own]

    def steps_at(self, mm: float) -> int:
        """Most steps on a level of so many mm."""
        return self.steps if mm > _COSTLY_MM else -(-self.steps // 4)

    def displacements(self, grid: Grid, mm: float) -> Grid:
        """Where the displacements lie on a level of `mm`: as fine as its images where few fit."""
        coarse = grid.rescaled(_COARSER * max(mm, _ORDINARY_MM))
        return coarse if min(coarse.shape) >= _LEAST_EDGE else grid.rescaled(mm)

    def at(self, mm: float) -> Refinement:
        """The plan of a level: its steps and, below 1 mm, a window that is that of 1 mm in mm."""
        plan = replace(self, steps=self.steps_at(mm))
        if mm > 0.99 * _ORDINARY_MM:
            return plan
        return replace(plan, window=2 * round((plan.window * _ORDINARY_MM / mm - 1) / 2) + 1)
