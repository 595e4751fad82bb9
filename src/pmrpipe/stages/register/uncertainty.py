"""Maps of how sure a method is of each displacement."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.files import write_json
from pmrpipe.images.volume import Grid, write_volume
from pmrpipe.study.keys import contrast_of, pair_name
from pmrpipe.study.paths import Results

if TYPE_CHECKING:
    from torch import Tensor

    from pmrpipe.methods.lesions import Lesions
    from pmrpipe.methods.protocols import Method, Probabilistic
    from pmrpipe.methods.spec import MethodSpec

_STEPS_PER_MM = 1024


def deviation_map(
    method: Probabilistic,
    images: Sequence[Tensor],
    grid: Grid,
    samples: int,
    seed: int,
    alike: bool = True,
    lesions: Lesions | None = None,
) -> np.ndarray:
    """Deviation, mm, of the displacement over draws of the posterior, (X, Y, Z) on `grid`.

    Parameters
    ----------
    method : a method with a posterior
    images : moving and fixed, (1, 1, X, Y, Z) in [0, 1] on `grid`
    alike : of one contrast; images of two are treated as where they are registered
    lesions : left out where pairs are optimised; networks see them filled
    """
    from pmrpipe.methods.across import across
    from pmrpipe.methods.bootstrap import Bootstrapped
    from pmrpipe.methods.contrast import likened
    from pmrpipe.spatial.resize import resize_image

    moving, fixed = images if lesions is None else lesions.filled(*images)
    if isinstance(method, Bootstrapped):
        optimised = method if alike else across(method)
        assert isinstance(optimised, Bootstrapped)
        posterior = optimised.posterior(moving, fixed, grid, lesions)
    else:
        if not alike:
            moving, fixed = likened(moving, fixed)(moving, fixed)
        posterior = method.posterior(moving, fixed, grid)
    deviation = posterior.deviation(samples, seed)
    return resize_image(deviation[None, None], grid.shape)[0, 0].cpu().numpy()


def factor_of(method: Method, spec: MethodSpec) -> float:
    """By what the deviation is multiplied: the optimisation's factor, or the network's."""
    from pmrpipe.methods.bootstrap import Bootstrapped

    return (
        method.uncertainty_factor if isinstance(method, Bootstrapped) else spec.uncertainty_factor
    )


@dataclass(frozen=True)
class UncertaintyMaps:
    """Writes the uncertainty of pairs of one method.

    Parameters
    ----------
    method : a method with a posterior
    name : name of the method's result folder
    samples : draws from the posterior of each pair, at least 2
    seed : with the pair's name it seeds the draws, so that they do not depend on other pairs
    factor : by which the posterior's deviation is multiplied
    """

    method: Probabilistic
    name: str
    results: Results
    samples: int
    seed: int
    factor: float = 1.0

    def write(
        self,
        moving: str,
        fixed: str,
        images: tuple[Tensor, Tensor],
        grid: Grid,
        lesions: Lesions | None = None,
    ) -> dict[str, Any]:
        """Write one pair's map and sidecar; `images` are (1, 1, X, Y, Z) in [0, 1] on `grid`.

        Returns
        -------
        moving, fixed, samples, and over the fixed brain the mean (`sd_mean_mm`) and the 95th
        percentile (`sd_p95_mm`) of the standard deviation
        """
        seed = _seed(self.seed, moving, fixed)
        alike = contrast_of(moving) == contrast_of(fixed)
        deviation = self.factor * deviation_map(
            self.method, images, grid, self.samples, seed, alike, lesions
        )
        brain = images[1][0, 0].cpu().numpy() > 0
        # As fields are: half a micrometre at most, and a far smaller file.
        rounded = np.rint(np.where(brain, deviation, 0) * _STEPS_PER_MM) / _STEPS_PER_MM
        path = self.results.uncertainty(self.name, moving, fixed)
        sidecar = path.with_name(path.name.replace(".nii.gz", ".json"))
        write_json(sidecar, self._about(moving, fixed))
        write_volume(path, rounded, grid.affine, np.float32)
        inside = deviation[brain]
        mean, high = (inside.mean(), np.quantile(inside, 0.95)) if inside.size else (0.0, 0.0)
        names = {"moving": moving, "fixed": fixed, "samples": self.samples}
        return names | {"sd_mean_mm": float(mean), "sd_p95_mm": float(high)}

    def _about(self, moving: str, fixed: str) -> dict[str, Any]:
        return {
            "Description": "Standard deviation of the displacement over samples of the posterior, "
            "or over optimisations of resampled images: the root of the summed variances of its "
            "three components; 0 outside the fixed brain",
            "Units": "mm",
            "Method": self.name,
            "Moving": moving,
            "Fixed": fixed,
            "Samples": self.samples,
            "CalibrationFactor": self.factor,
            "RandomSeed": self.seed,
        }


def _seed(seed: int, moving: str, fixed: str) -> int:
    text = f"{seed} {pair_name(moving, fixed)}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
