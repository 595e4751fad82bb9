"""Where the affine optimisation may start: upright, or turned when the head lies otherwise.

A coarse look (8 mm voxels) at rotations about the centre of mass. It costs tens of milliseconds
for the 24 turns of a cube, and about a second for all 648.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Volume
from pmrpipe.stages.preprocess.resample import antialiased

_MM = 8.0
_STEPS_DEGREES = (-30, 0, 30)
# Another turn must fit the template better by this much before upright is given up.
_ADVANTAGE = 0.05
_DISTINCT_DEGREES = 25.0


@dataclass(frozen=True)
class Start:
    """`matrix` (4, 4): rigid, RAS mm, template points -> subject points; `name` says which."""

    name: str
    matrix: np.ndarray


class CoarseSearch:
    """Scores of rigid starts.

    Parameters
    ----------
    brain, template : brains, background 0
    """

    def __init__(self, brain: Volume, template: Volume) -> None:
        self.brain, self.template = coarse(brain, _MM), coarse(template, _MM)
        self.centre, self.goal = centre_of_mass(self.brain), centre_of_mass(self.template)
        volumes = [_brain_volume(volume) for volume in (self.brain, self.template)]
        self.scale = float(np.cbrt(volumes[0] / volumes[1]))

    def upright_fits(self) -> bool:
        """Whether no turn by right angles fits clearly better than none."""
        scores = [self.score(turn) for turn in cube_turns()]
        return self.score(np.eye(3)) >= max(scores) - _ADVANTAGE

    def upright(self) -> Start:
        """Centre of mass to centre of mass, not turned."""
        return Start("upright", self.matrix(np.eye(3)))

    def ranked(self, count: int) -> list[Start]:
        """The `count` best starts of all directions, at least 25 degrees apart, best first."""
        turns = [turn @ step for turn in cube_turns() for step in _small_turns()]
        order = np.argsort([-self.score(turn) for turn in turns], kind="stable")
        chosen: list[np.ndarray] = []
        for index in order:
            if all(angle(turns[index], other) > _DISTINCT_DEGREES for other in chosen):
                chosen.append(turns[index])
            if len(chosen) == count:
                break
        return [
            Start(f"turned by {angle(turn, np.eye(3)):.0f} degrees", self.matrix(turn))
            for turn in chosen
        ]

    def matrix(self, turn: np.ndarray, scale: float = 1.0) -> np.ndarray:
        """Rotation (3, 3) about the centres of mass as (4, 4), template -> subject points."""
        matrix = np.eye(4)
        matrix[:3, :3] = scale * turn
        matrix[:3, 3] = self.centre - scale * turn @ self.goal
        return matrix

    def score(self, turn: np.ndarray) -> float:
        """Correlation over the whole template grid, background included: overlap counts too."""
        points = sample_points(self.template.grid, self.matrix(turn, self.scale))
        moved = resample(self.brain, points)
        return correlation(moved.ravel(), self.template.data.ravel())


def coarse(volume: Volume, mm: float) -> Volume:
    """The volume on voxels of `mm` over the same field of view, or itself when already so."""
    grid = volume.grid.rescaled(mm)
    if grid == volume.grid:
        return volume
    return Volume(resample(antialiased(volume, mm), sample_points(grid)), grid.affine)


def centre_of_mass(volume: Volume) -> np.ndarray:
    """Centre of the voxels weighted by intensity, RAS mm (3,)."""
    weights = np.clip(volume.data, 0, None).astype(np.float64)
    sums = [weights.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
    index = [float(np.sum(s * np.arange(s.size)) / s.sum()) for s in sums]
    return volume.affine[:3, :3] @ index + volume.affine[:3, 3]


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, 0 when one of them is constant."""
    a, b = (x.astype(np.float64) - x.mean(dtype=np.float64) for x in (first, second))
    norm = np.sqrt(np.sum(a * a) * np.sum(b * b))  # no BLAS: its sums depend on its threads
    return float(np.sum(a * b) / norm) if norm > 0 else 0.0


def angle(first: np.ndarray, second: np.ndarray) -> float:
    """Degrees between two rotations (3, 3)."""
    cosine = (np.trace(first.T @ second) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _brain_volume(volume: Volume) -> float:
    """Of what is brighter than a quarter of the typical brain, in mm^3."""
    typical = np.percentile(volume.data[volume.data > 0], 75)
    return float((volume.data > 0.25 * typical).sum() * np.prod(volume.spacing))


def cube_turns() -> np.ndarray:
    """The 24 rotations of a cube (24, 3, 3)."""
    from scipy.spatial.transform import Rotation

    return Rotation.create_group("O").as_matrix()


def _small_turns() -> np.ndarray:
    from scipy.spatial.transform import Rotation

    steps = np.array(np.meshgrid(*[_STEPS_DEGREES] * 3)).reshape(3, -1).T
    return Rotation.from_euler("xyz", steps, degrees=True).as_matrix()
