"""Where a rigid registration of two scans of one head may start, whatever their contrasts.

Mutual information on voxels of 6 mm in and around the T1w's brain: at the headers as they stand,
since most sessions share a scanner's frame, and at centres brought together with offsets; the best
few are climbed to their peak. A look costs about a millisecond.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import binary_dilation

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Volume
from pmrpipe.stages.preprocess.pose_search import angle, centre_of_mass, coarse

_MM = 6.0
# Classes of intensity of about equal size: few, since few voxels are counted (the estimate's bias
# is the classes' number squared over twice that of the voxels).
_CLASSES = 10
# Voxels around the brain that count too.
_RIM = 2
# Offsets from the centres, along R, A and S: the other scan may reach less far down or up.
_OFFSETS_MM = ((0.0,), (-20.0, 0.0, 20.0), (-60.0, -40.0, -20.0, 0.0, 20.0, 40.0))
_PITCHES_DEGREES = (-15, 0, 15)
_CLIMBED, _EVALUATIONS = 5, 250
# Units of a climb: mm, and degrees that move a brain's rim about as far.
_STEP_MM, _STEP_DEGREES = 6.0, 6.0
_DISTINCT_MM, _DISTINCT_DEGREES = 12.0, 15.0


class RigidSearch:
    """Rigid matrices (4, 4) from points of the T1w to points of the scan, RAS mm, and their scores.

    Parameters
    ----------
    scan : of any contrast
    brain, mask : of the T1w, on one grid
    """

    def __init__(self, scan: Volume, brain: Volume, mask: Volume) -> None:
        self.scan = coarse(scan, max(_MM, *brain.spacing))
        share = Volume(np.asarray(mask.data > 0, np.float32), mask.affine)
        inside = coarse(share, max(_MM, *brain.spacing))
        self.centre, self.goal = centre_of_mass(self.scan), centre_of_mass(inside)
        # With its rim: where the brain ends is told by every contrast.
        keep = binary_dilation(inside.data > 0.5, iterations=_RIM)
        self.own = _classes(coarse(brain, max(_MM, *brain.spacing)).data[keep])
        self.points = sample_points(inside.grid)[keep]

    def best(self, turns: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
        """The `count` best matrices near some turns (3, 3), climbed, apart from each other."""
        starts = list(self._starts(turns))
        order = np.argsort([-self.score(matrix) for matrix in starts], kind="stable")
        # The headers may be right where their score is not among the best.
        chosen = dict.fromkeys(
            [*([0] if np.allclose(starts[0], np.eye(4)) else []), *order[:_CLIMBED]]
        )
        climbed = [self._climbed(starts[n]) for n in chosen]
        climbed.sort(key=lambda matrix: -self.score(matrix))
        return self._distinct(climbed, count)

    def score(self, matrix: np.ndarray) -> float:
        """Mutual information, nats."""
        moved = resample(self.scan, self.points @ matrix[:3, :3].T + matrix[:3, 3])
        joint = np.bincount(self.own * _CLASSES + _classes(moved), minlength=_CLASSES**2)
        shares = joint.reshape(_CLASSES, _CLASSES) / moved.size
        product = shares.sum(1, keepdims=True) * shares.sum(0, keepdims=True)
        held = shares > 0
        return float(np.sum(shares[held] * np.log(shares[held] / product[held])))

    def _starts(self, turns: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """The headers as they stand among the upright ones; centres brought together."""
        if any(angle(turn, np.eye(3)) < 1 for turn in turns):
            yield np.eye(4)
        for turn, pitch in itertools.product(turns, _PITCHES_DEGREES):
            for shift in itertools.product(*_OFFSETS_MM):
                yield self._matrix(turn @ _rotation((pitch, 0, 0)), np.array(shift))

    def _matrix(self, turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        matrix[:3, 3] = self.centre - turn @ self.goal + shift
        return matrix

    def _climbed(self, start: np.ndarray) -> np.ndarray:
        """The peak near a start, by Powell's method over shifts and turns about the brain."""
        from scipy.optimize import minimize

        options = {"maxfev": _EVALUATIONS, "xtol": 0.05, "ftol": 1e-4}
        answer = minimize(
            lambda step: -self.score(self._moved(start, step)),
            np.zeros(6),
            method="Powell",
            options=options,
        )
        return self._moved(start, answer.x)

    def _moved(self, start: np.ndarray, step: np.ndarray) -> np.ndarray:
        turn = start[:3, :3] @ _rotation(_STEP_DEGREES * step[3:])
        matrix = np.eye(4)
        matrix[:3, :3] = turn
        place = start[:3, :3] @ self.goal + start[:3, 3]
        matrix[:3, 3] = place - turn @ self.goal + _STEP_MM * step[:3]
        return matrix

    def _distinct(self, matrices: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
        kept: list[np.ndarray] = []
        for matrix in matrices:
            if len(kept) < count and all(self._apart(matrix, other) for other in kept):
                kept.append(matrix)
        return kept

    def _apart(self, first: np.ndarray, second: np.ndarray) -> bool:
        places = [m[:3, :3] @ self.goal + m[:3, 3] for m in (first, second)]
        turned = angle(first[:3, :3], second[:3, :3])
        return bool(
            np.linalg.norm(places[0] - places[1]) > _DISTINCT_MM or turned > _DISTINCT_DEGREES
        )


def _classes(values: np.ndarray) -> np.ndarray:
    """The class of each intensity: as many in each, as far as equal ones allow."""
    edges = np.quantile(values, np.linspace(0, 1, _CLASSES + 1)[1:-1])
    return np.searchsorted(edges, values)


def _rotation(degrees: Sequence[float] | np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
