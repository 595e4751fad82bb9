"""Likelihoods of a fixed image or feature map given the warped one."""

from __future__ import annotations

from torch import Tensor

from pmrpipe.losses.similarity import local_correlation, mean_squared_difference
from pmrpipe.losses.variational import FACTORS, reconstruction
from pmrpipe.spatial.standardise import standardised


class Likelihood:
    """Negative log likelihood of fixed given warped, up to constants.

    Parameters
    ----------
    similarity : "mse", factor * (y - y')^2 / sigma^2, or "cc", (1 - local cc) / sigma^2
    sigma : standard deviation of the noise (for "cc" of the correlation deficit)
    window : edge of the correlation's cube, voxels
    standardise : compare channels with mean 0 and deviation 1. The feature term of Eq. 5 has a
        trivial minimum, features -> 0; on standardised channels (and for "cc" by itself) it
        does not depend on their scale, so nothing pulls them there.
    """

    def __init__(
        self,
        similarity: str = "mse",
        sigma: float = 0.02,
        window: int = 9,
        standardise: bool = False,
        factors: str = "implemented",
    ) -> None:
        if similarity not in ("mse", "cc"):
            raise ValueError(f"unknown similarity {similarity}: mse or cc")
        self.similarity, self.sigma, self.window = similarity, sigma, window
        self.standardise, self.factors = standardise, FACTORS[factors]

    def __call__(self, fixed: Tensor, warped: Tensor) -> Tensor:
        # The exact form of Eq. 6 sums over voxels, as its divergence does.
        count = 1 if self.factors.mean else fixed[0].numel()
        if self.similarity == "cc":
            return count * (1 - local_correlation(fixed, warped, self.window)) / self.sigma**2
        if self.standardise:
            fixed, warped = standardised(fixed), standardised(warped)
        difference = count * mean_squared_difference(fixed, warped)
        return reconstruction(difference, self.sigma, self.factors)
