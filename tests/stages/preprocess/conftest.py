"""A small subject of known pose: the template, moved by an affine onto an oblique PIR grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Grid, Volume, write_volume
from pmrpipe.study.space import template_brain

MM = 4.0


@dataclass(frozen=True)
class Subject:
    """`matrix` maps template points to the subject's, RAS mm."""

    brain: Volume
    mask: Volume
    labels: Volume
    matrix: np.ndarray

    def write(self, folder: Path) -> tuple[Path, Path]:
        """The files of its brain and labels."""
        brain, labels = folder / "sub-01_T1w.nii.gz", folder / "sub-01_dseg.nii.gz"
        write_volume(brain, np.rint(self.brain.data * 900).astype(np.int16), self.brain.affine)
        write_volume(labels, self.labels.data.astype(np.int16), self.labels.affine)
        return brain, labels


@pytest.fixture(scope="session")
def template() -> Volume:
    return template_brain(MM)


def pose(degrees: tuple[float, float, float], scale=(1.05, 0.95, 0.9)) -> np.ndarray:
    matrix = np.eye(4)
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, :3] = turn @ np.diag(scale)
    matrix[:3, 3] = [12, -20, 9]
    return matrix


def oblique_grid(centre: np.ndarray) -> Grid:
    shape, voxel = (48, 44, 46), (4.4, 3.8, 4.0)
    # Rows: R, A, S; columns: the voxel axes, which run P, I, R.
    axes = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]], float) @ np.diag(voxel)
    axes = Rotation.from_euler("zx", [8, -6], degrees=True).as_matrix() @ axes
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes, centre - axes @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


def make_subject(template: Volume, matrix: np.ndarray) -> Subject:
    # The pose taken out of the world, and the image onto a grid of its own.
    middle = template.affine @ [*(np.asarray(template.shape) - 1) / 2, 1]
    grid = oblique_grid((matrix @ middle)[:3])
    points = sample_points(grid, np.linalg.inv(matrix))
    brain = resample(template, points)
    brain[brain < 0.1] = 0
    parts = (template.data > 0.1).astype(np.int32)
    parts += (template.data > 0.4).astype(np.int32) + (template.data > 0.55)
    labels = resample(Volume(parts.astype(np.int32), template.affine), points, "nearest")
    return Subject(
        Volume(brain, grid.affine),
        Volume(brain > 0, grid.affine),
        Volume(labels, grid.affine),
        matrix,
    )


@pytest.fixture(scope="session")
def subject(template: Volume) -> Subject:
    return make_subject(template, pose((6, -9, 5)))


def distance(first: np.ndarray, second: np.ndarray, template: Volume) -> float:
    """Root mean square distance in mm that two affines put between the template brain's points."""
    points = sample_points(template.grid)[template.data > 0.2]
    difference = (first - second)[:3]
    return float(
        np.sqrt(np.mean(np.sum((points @ difference[:, :3].T + difference[:, 3]) ** 2, 1)))
    )
