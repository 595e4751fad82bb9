"""Affine normalisation to the template, by ANTs, with a check of the result.

ANTs `Affine` (Avants et al., NeuroImage 54, 2011): Mattes mutual information, in two passes, at 8
and 4 mm and then at 2 mm with few samples. On 5 brains of the MALF collection the affine-only
overlap of 130 labels was 0.453 at 2 mm, against 0.4535 for the antspyx defaults at 1 mm, in a
seventh of the time. With a tenth of the samples at 8 mm as well the optimiser sometimes stalls.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import write_json
from pmrpipe.base.seed import SEED
from pmrpipe.images.itk import load_ants, to_ants
from pmrpipe.images.lesion import filled, lesion_share
from pmrpipe.images.transforms import read_affine, write_affine
from pmrpipe.images.volume import Volume, read_image, read_mask
from pmrpipe.stages.preprocess.affine_quality import (
    brain_share,
    quality_of,
    similarity_of,
)
from pmrpipe.stages.preprocess.affine_quality import missed as _missed
from pmrpipe.stages.preprocess.pose_search import (
    CoarseSearch,
    Start,
    centre_of_mass,
    coarse,
)
from pmrpipe.study.keys import T1W, contrast_of
from pmrpipe.study.options.preprocessing import Normalisation
from pmrpipe.study.sidecar import direction, space_of

_FINEST_MM = 2.0
_RETRIES = 4
# Mask Dice and correlation. Real brains (MALF; ds002748 with its strong bias) reached 0.94 and 0.51
# when aligned; one that lay upside down still had 0.93 and 0.38. So a clear result is taken at
# once, a doubtful one (a strongly deformed brain at 4 mm: 0.88) only when no start gave a better.
_CLEAR = (0.92, 0.45)
_LEAST = (0.8, 0.35)
# Of another contrast than the template's: mask Dice and correlation ratio.
_CLEAR_OTHER, _LEAST_OTHER = (0.92, 0.4), (0.8, 0.3)
# Sizes of an adult's brain against the template; and those that are taken at all, when no start
# gave others: a newborn's is 0.6, one of the third trimester 0.5. The measures of quality tell it.
ADULT_SCALES = (0.6, 1.6)
_ANY_SCALES = (0.4, 2.0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Pass:
    """One call of ANTs on voxels of `mm`: shrink factors, iterations, share of voxels sampled."""

    mm: float
    shrink: tuple[int, ...]
    iterations: tuple[int, ...]
    sampling: float


_PASSES = (_Pass(4.0, (2, 1), (1000, 500), 0.4), _Pass(2.0, (1,), (50,), 0.1))


@dataclass(frozen=True)
class AffineResult:
    """`matrix` (4, 4) maps template points to subject points, RAS mm; `quality` is for people."""

    matrix: np.ndarray
    quality: dict[str, Any]


def run(
    brain: Path,
    template: Path,
    out_mat: Path,
    out_json: Path,
    options: Normalisation,
    *,
    subject: str,
) -> None:
    """Write the affine as an ITK file, and its sidecar with direction, frame, units, quality.

    Parameters
    ----------
    brain : brain with isotropic voxels
    subject : key of the scan, which says its contrast
    """
    seed, threads = options.seed, options.threads
    images = read_image(brain), read_image(template)
    if options.rigid is not None and options.t1w_affine is not None:
        affine = through_t1w(
            *images, read_affine(options.rigid), read_affine(options.t1w_affine), subject=subject
        )
    else:
        lesion = None if options.lesion is None else read_mask(options.lesion)
        affine = normalise(*images, subject=subject, seed=seed, threads=threads, lesion=lesion)
    through = [path for path in (options.rigid, options.t1w_affine) if path is not None]
    content = {
        "Direction": direction(space_of(template), contrast_of(subject)),
        "Frame": "LPS (ITK's world)",
        "Units": "mm",
        "Format": "ITK affine, MATLAB 4",
        "MatrixRAS": [[round(float(value), 9) for value in row] for row in affine.matrix],
        "RandomSeed": seed,
        "Threads": threads,
        "Quality": affine.quality,
        "Sources": [Path(source).name for source in (brain, template, *through)],
    }
    write_json(out_json, content)
    write_affine(out_mat, affine.matrix)


def normalise(
    brain: Volume,
    template: Volume,
    *,
    subject: str,
    seed: int = SEED,
    threads: int = 1,
    lesion: Volume | None = None,
) -> AffineResult:
    """Affine from template to subject.

    Starts upright from the centres of mass, unless the brain plainly lies otherwise; when the
    result is not clearly right, from the best other directions, and the best of all is taken.
    With one thread the same seed gives the same matrix to the bit, on any number of cores; with
    more threads ITK's metric does not.

    Parameters
    ----------
    brain : brain with isotropic voxels in subject space, background 0
    template : template brain, background 0
    subject : key of the scan, which says its contrast; name for messages
    lesion : mask in the subject's space, which what surrounds it stands for

    Raises
    ------
    WorkError : no start gave the overlap and similarity that an aligned brain has
    """
    if lesion is not None:
        share = lesion_share(lesion, brain.grid)
        brain = Volume(filled(brain, share > 0, brain.data > 0), brain.affine)
    mm = max(_FINEST_MM, *template.spacing)
    # Coarser levels are made from these: the widths of successive blurs add up.
    moving, fixed = coarse(_clipped(brain), mm), coarse(template, mm)
    contrast = contrast_of(subject)
    masks = brain_share(brain, moving.grid, contrast), brain_share(template, fixed.grid)
    clear, least = _limits(contrast)
    tried: list[AffineResult] = []
    # Of another contrast than the template's the shapes alone tell where it may start.
    for start in _starts(*((moving, fixed) if contrast == T1W else masks)):
        matrix = _register(moving, fixed, start.matrix, seed, threads)
        if matrix is None:
            continue
        quality = {"start": start.name} | quality_of(moving, fixed, *masks, matrix, contrast)
        tried.append(AffineResult(matrix, quality | {"attempts": len(tried) + 1}))
        if _reaches(quality, clear, ADULT_SCALES):
            break
        _log.warning("%s: the affine that started %s is not clearly right", subject, start.name)
    best = max(tried, key=_merit, default=None)
    if best is None or not _reaches(best.quality, least, _ANY_SCALES):
        raise _failure(subject, best, least)
    return AffineResult(best.matrix, best.quality | {"attempts": len(tried)})


def through_t1w(
    brain: Volume, template: Volume, rigid: np.ndarray, t1w_affine: np.ndarray, *, subject: str
) -> AffineResult:
    """Affine from template to scan by way of its session's T1w, judged as any other.

    Parameters
    ----------
    brain, template, subject : as for `normalise`
    rigid : (4, 4), RAS mm, points of the T1w to points of the scan
    t1w_affine : (4, 4), points of the template to points of the T1w

    Raises
    ------
    WorkError : brain and template are not alike under it
    """
    mm, contrast = max(_FINEST_MM, *template.spacing), contrast_of(subject)
    moving, fixed = coarse(_clipped(brain), mm), coarse(template, mm)
    masks = brain_share(brain, moving.grid, contrast), brain_share(template, fixed.grid)
    matrix, least = rigid @ t1w_affine, _limits(contrast)[1]
    quality = quality_of(moving, fixed, *masks, matrix, contrast)
    result = AffineResult(matrix, {"start": "through the T1w"} | quality | {"attempts": 1})
    # A partial cover overlaps little with the whole: what of it is brain was the T1w's to say.
    if not _reaches(quality, (0.0, least[1]), _ANY_SCALES):
        raise _failure(subject, result, least)
    return result


def _limits(contrast: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """What is clearly right, and what is taken at least."""
    return (_CLEAR, _LEAST) if contrast == T1W else (_CLEAR_OTHER, _LEAST_OTHER)


def _failure(subject: str, best: AffineResult | None, least: tuple[float, float]) -> WorkError:
    remedy = "look at its brain mask and orientation, or exclude it"
    if best is None:
        return WorkError(subject, "ANTs could not align it to the template", remedy)
    missed = " and ".join(_missed(best.quality, least, _ANY_SCALES))
    problem = f"is not aligned to the template ({missed})"
    return WorkError(subject, problem, remedy)


def _starts(brain: Volume, template: Volume) -> Iterator[Start]:
    """Upright first when it may be right; the costly search only when that was not enough."""
    search = CoarseSearch(brain, template)
    upright_first = search.upright_fits()
    if upright_first:
        yield search.upright()
    yield from search.ranked(_RETRIES)
    if not upright_first:
        yield search.upright()


def _clipped(brain: Volume) -> Volume:
    """The brightest and darkest half percent clipped: they would widen the bins of the metric."""
    low, high = np.percentile(brain.data[brain.data != 0], (0.5, 99.5))
    data = np.where(brain.data != 0, np.clip(brain.data, low, high), 0)
    return Volume(data.astype(np.float32), brain.affine)


def _register(
    brain: Volume, template: Volume, start: np.ndarray, seed: int, threads: int
) -> np.ndarray | None:
    """ANTs from a rigid start (4, 4), or None when ANTs gives up.

    The start is put into the header of the moving image, so that ANTs always begins with brains
    of about the same pose; the result is undone by it.
    """
    turned = Volume(brain.data, np.linalg.inv(start) @ brain.affine)
    matrix = None
    try:
        for step in _PASSES:
            mm = max(step.mm, *template.spacing)
            if matrix is None or mm < _PASSES[0].mm:
                pair = coarse(turned, mm), coarse(template, mm)
                matrix = _ants(step, *pair, matrix, load_ants(threads, seed))
    except Exception as error:  # antspyx raises RuntimeError, KeyError and others
        _log.warning("ANTs: %s", error)
    return None if matrix is None else start @ matrix


def _ants(
    step: _Pass, moving: Volume, fixed: Volume, initial: np.ndarray | None, ants: Any
) -> np.ndarray:
    """One pass from `initial` (4, 4), or from the centres of mass."""
    with tempfile.TemporaryDirectory(prefix="pmrpipe-affine-") as folder:
        start = None
        if initial is not None:
            start = str(Path(folder) / "initial.mat")
            write_affine(start, initial, centre_of_mass(fixed))
        answer = ants.registration(
            to_ants(fixed, ants),
            to_ants(moving, ants),
            type_of_transform="Affine",
            initial_transform=start,
            aff_shrink_factors=step.shrink,
            aff_smoothing_sigmas=tuple(factor - 1 for factor in step.shrink),
            aff_iterations=step.iterations,
            aff_random_sampling_rate=step.sampling,
            outprefix=str(Path(folder) / "affine"),
        )
        (path,) = answer["fwdtransforms"]
        return read_affine(path)


def _merit(result: AffineResult) -> float:
    return float(result.quality["mask_dice"] + similarity_of(result.quality)[1])


def _reaches(
    quality: dict[str, Any], least: tuple[float, float], sizes: tuple[float, float]
) -> bool:
    return not _missed(quality, least, sizes)
