"""A further scan of a session brought to its T1w by a rigid transform, whatever its contrast.

ANTs `Rigid` with Mattes mutual information (Mattes et al., IEEE TMI 22, 2003) inside the T1w's
brain alone, so that nothing need be known of the other scan but its voxels: no brain mask, no
contrast. Where it may start is found on coarse images, see `rigid_search`.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import binary_dilation

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import write_json
from pmrpipe.base.seed import SEED
from pmrpipe.images.extremes import tamed_head
from pmrpipe.images.itk import load_ants, to_ants
from pmrpipe.images.resampling import resample, sample_points, within
from pmrpipe.images.transforms import read_affine, write_affine
from pmrpipe.images.volume import Volume, read_image, read_mask, require_same_grid
from pmrpipe.metrics.agreement import correlation_ratio, mutual_information
from pmrpipe.stages.preprocess.pose_search import angle, centre_of_mass, coarse, cube_turns
from pmrpipe.stages.preprocess.rigid_search import RigidSearch
from pmrpipe.study.keys import T1W, contrast_of
from pmrpipe.study.options.preprocessing import Coregistration
from pmrpipe.study.sidecar import checksums, direction

# Voxels of the two passes of ANTs with the share of voxels sampled.
_PASSES = ((4.0, 0.5), (2.0, 0.2))
_TRIED = 2
# Around the brain, mm: where it ends is told by every contrast.
_RIM_MM = 8.0
# Score of `RigidSearch` of two scans of one head: aligned pairs reached 0.5 and more.
_CLEAR, _LEAST, _LEAST_COVER, _HOPELESS = 0.4, 0.25, 0.1, 0.15
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rigid:
    """`matrix` (4, 4) maps points of the T1w to points of the other scan, RAS mm."""

    matrix: np.ndarray
    quality: dict[str, Any]


def run(
    scan: Path,
    t1w_brain: Path,
    t1w_mask: Path,
    out_mat: Path,
    out_json: Path,
    options: Coregistration,
    *,
    subject: str,
) -> None:
    """Write the rigid transform as an ITK file, and its sidecar.

    Parameters
    ----------
    scan : as it comes
    t1w_brain, t1w_mask : of the session's T1w, on its own grid
    subject : key of the scan, which says its contrast
    """
    image, brain = read_image(scan, options.orientation), read_image(t1w_brain)
    mask = read_mask(t1w_mask)
    require_same_grid(mask, brain, t1w_mask, t1w_brain)
    rigid = coregister(
        image, brain, mask, subject=subject, seed=options.seed, threads=options.threads
    )
    content = {
        "Direction": direction(T1W, contrast_of(subject)),
        "Frame": "LPS (ITK's world)",
        "Units": "mm",
        "Format": "ITK affine, MATLAB 4; rigid",
        "MatrixRAS": [[round(float(value), 9) for value in row] for row in rigid.matrix],
        "RandomSeed": options.seed,
        "Threads": options.threads,
        "Quality": rigid.quality,
        "Sources": [Path(scan).name, Path(t1w_brain).name, Path(t1w_mask).name],
        **checksums(scan),
    }
    write_json(out_json, content)
    write_affine(out_mat, rigid.matrix)


def coregister(
    scan: Volume,
    brain: Volume,
    mask: Volume,
    *,
    subject: str,
    seed: int = SEED,
    threads: int = 1,
) -> Rigid:
    """The rigid transform from points of a T1w to points of another scan of the same head.

    Parameters
    ----------
    scan : whole head or brain of any contrast, in any orientation, its cover whole or partial
    brain, mask : of the T1w, on one grid
    subject : name for messages

    Raises
    ------
    WorkError : no start gave two images that depend on each other as those of one head do
    """
    tamed = Volume(tamed_head(scan.data), scan.affine)
    tried: list[Rigid] = []
    search = RigidSearch(tamed, brain, mask)
    for number, start in enumerate(_starts(search), 1):
        matrix = _ants(tamed, brain, mask, start, load_ants(threads, seed))
        if matrix is None:
            continue
        quality = {"score": round(search.score(matrix), 4), "attempts": number}
        tried.append(Rigid(matrix, quality | _quality(tamed, brain, mask, matrix)))
        if quality["score"] >= _CLEAR:
            break
    best = max(tried, key=lambda rigid: rigid.quality["score"], default=None)
    if best is None:
        raise WorkError(subject, "is not aligned to the T1w of its session", _remedy())
    reached = best.quality["score"]
    if reached < _LEAST or best.quality["cover"] < _LEAST_COVER:
        problem = (
            f"is not aligned to the T1w of its session (mutual information {reached:.2f}, at "
            f"least {_LEAST:g} is needed; {best.quality['cover']:.0%} of the brain covered)"
        )
        raise WorkError(subject, problem, _remedy())
    return best


def _remedy() -> str:
    return "see whether both are of one head, set inputs.through_t1w: false, or exclude it"


def _starts(search: RigidSearch) -> Iterator[np.ndarray]:
    """Rigid matrices (4, 4), T1w -> scan: the best few of a coarse look, most likely first.

    None at all where even the best say next to nothing of each other.
    """
    upright = search.best([np.eye(3)], _TRIED)
    yield from (matrix for matrix in upright if search.score(matrix) > _HOPELESS)
    turned = search.best([turn for turn in cube_turns() if angle(turn, np.eye(3)) > 1], _TRIED)
    yield from (matrix for matrix in turned if search.score(matrix) > _HOPELESS)


def _share(mask: Volume) -> Volume:
    return Volume(np.asarray(mask.data > 0, np.float32), mask.affine)


def _ants(
    scan: Volume, brain: Volume, mask: Volume, start: np.ndarray, ants: Any
) -> np.ndarray | None:
    """ANTs from a rigid start (4, 4), which goes into the header of the scan; None: it gave up."""
    turned = Volume(scan.data, np.linalg.inv(start) @ scan.affine)
    matrix = np.eye(4)
    try:
        for mm, sampling in _PASSES:
            at = max(mm, *brain.spacing)
            images = coarse(brain, at), coarse(turned, at), coarse(_share(mask), at)
            matrix = _pass(*images, matrix, sampling, ants)
    except Exception as error:  # antspyx raises RuntimeError, KeyError and others
        _log.warning("ANTs: %s", error)
        return None
    return start @ matrix


def _pass(
    brain: Volume, scan: Volume, share: Volume, initial: np.ndarray, sampling: float, ants: Any
) -> np.ndarray:
    rim = binary_dilation(share.data > 0.5, iterations=round(_RIM_MM / min(share.spacing)))
    inside = Volume(rim.astype(np.float32), share.affine)
    with tempfile.TemporaryDirectory(prefix="pmrpipe-rigid-") as folder:
        begin = Path(folder) / "initial.mat"
        write_affine(begin, initial, centre_of_mass(inside))
        answer = ants.registration(
            to_ants(brain, ants),
            to_ants(scan, ants),
            type_of_transform="Rigid",
            initial_transform=str(begin),
            mask=to_ants(inside, ants),
            mask_all_stages=True,
            aff_shrink_factors=(2, 1),
            aff_smoothing_sigmas=(1, 0),
            aff_iterations=(200, 100),
            aff_random_sampling_rate=sampling,
            outprefix=str(Path(folder) / "rigid"),
        )
        (path,) = answer["fwdtransforms"]
        return read_affine(path)


def _quality(scan: Volume, brain: Volume, mask: Volume, matrix: np.ndarray) -> dict[str, float]:
    """How much the two depend on each other in the T1w's brain, and how much of it is covered."""
    mm = max(_PASSES[-1][0], *brain.spacing)
    other, own, inside = coarse(scan, mm), coarse(brain, mm), coarse(_share(mask), mm).data > 0.5
    points = sample_points(own.grid, matrix)[inside]
    covered = within(scan.grid, points)
    values, target = resample(other, points[covered]), own.data[inside][covered]
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)
    measures = {
        "correlation_ratio": correlation_ratio(target, values),
        "mutual_information": mutual_information(values, target),
        "cover": covered.mean(),
        "rotation_degrees": np.degrees(np.arccos(cosine)),
    }
    return {name: round(float(value), 4) for name, value in measures.items()}
