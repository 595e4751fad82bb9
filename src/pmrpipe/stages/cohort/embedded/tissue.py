"""What a simulated head looks like on a scan: tissue contrast and the brain's cover."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from pmrpipe.images.volume import Volume
from pmrpipe.stages.cohort.embedded.anatomy import Anatomy, sample


@dataclass(frozen=True)
class Look:
    """Intensities (white matter = 1) and layer thicknesses (mm) of one subject.

    `densest` is the intensity of the densest white matter, as a part of that of the usual one.
    """

    fluid: float
    grey: float
    white: float
    marrow: float
    muscle: float
    fat: float
    fluid_mm: float
    skull_mm: float
    scale: float
    noise: float
    bias: float
    densest: float = 1.08


# Ranges of fluid, grey matter, marrow, muscle and fat against white matter, and the value of the
# densest white matter, of contrasts beside T1w: fluid is brightest in a T2w, dark in a FLAIR.
_OTHERS = {
    "T2w": ((1.9, 2.6), (1.3, 1.6), (0.5, 1.0), (0.35, 0.55), (0.9, 1.5), 0.96),
    "PDw": ((0.95, 1.2), (1.12, 1.28), (0.5, 0.9), (0.6, 0.85), (1.0, 1.3), 0.98),
    "FLAIR": ((0.08, 0.2), (1.2, 1.4), (0.4, 0.8), (0.5, 0.8), (1.0, 1.4), 0.98),
}
_OTHERS["inplaneT2"] = _OTHERS["T2w"]


def look_of(contrast: str, rng: np.random.Generator) -> Look:
    """Draw the contrast and cover of one subject on a scan that is a T2w, PDw, FLAIR or inplaneT2.

    The cover's layers come out as for T1w, from other draws.
    """
    *ranges, densest = _OTHERS[contrast]
    values = (rng.uniform(*limits) for limits in ranges)
    drawn = dict(zip(("fluid", "grey", "marrow", "muscle", "fat"), values, strict=True))
    return replace(random_look(rng), **drawn, densest=densest)


def random_look(rng: np.random.Generator) -> Look:
    """Draw the contrast and cover of one subject."""
    return Look(
        fluid=rng.uniform(0.14, 0.24),
        grey=rng.uniform(0.56, 0.70),
        white=1.0,
        marrow=rng.uniform(0.35, 0.60),
        muscle=rng.uniform(0.38, 0.50),
        fat=rng.uniform(1.05, 1.35),
        fluid_mm=rng.uniform(1.5, 3.0),
        skull_mm=rng.uniform(5.0, 7.0),
        scale=rng.uniform(350, 1100),
        noise=rng.uniform(0.015, 0.03),
        bias=rng.uniform(0.10, 0.22),
    )


def signal_at(
    anatomy: Anatomy,
    look: Look,
    points: np.ndarray,
    brain: np.ndarray,
    head: np.ndarray,
    grain: np.ndarray,
) -> np.ndarray:
    """Noise-free signal at template `points` (3, N) inside the head, white matter = 1.

    `brain` and `head` (N,) are distances to the surfaces, `grain` (N,) a texture of SD 1.
    """
    signal = _soft_tissue(look, head, grain, points)
    fluid_end = look.fluid_mm * (1 + 0.25 * grain)
    skull_end = fluid_end + look.skull_mm * (1 + 0.15 * grain)
    middle = np.abs(brain - 0.5 * (fluid_end + skull_end)) / (0.22 * look.skull_mm)
    bone = 0.05 + (look.marrow * (1 + 0.2 * grain) - 0.05) * _step(1 - middle, 0.5)
    signal += (bone - signal) * _step(skull_end - brain, 0.6)
    signal += (look.fluid - signal) * _step(fluid_end - brain, 0.5)
    close = brain < 3
    cerebral = sample(anatomy.t1, points[:, close])
    knots = (0.0, 0.15, 0.62, 0.87, 1.0)
    values = (look.fluid, look.fluid, look.grey, look.white, look.white * look.densest)
    curve = np.interp(cerebral, knots, values).astype(np.float32)
    signal[close] += (curve - signal[close]) * _step(1.0 - brain[close], 1.0)
    return signal * _step(-head, 0.5)


def _soft_tissue(look: Look, head: np.ndarray, grain: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Skin, fat under it, muscle below, eyeballs and the airway."""
    signal = look.muscle * (1 + 0.25 * grain)
    fat = _step(head + 5.5 + 1.2 * grain, 0.7) * _step(-1.6 - head, 0.6)
    signal += (look.fat - signal) * fat
    x, y, z = points
    eye = np.sqrt((np.abs(x) - 32) ** 2 + (y - 62) ** 2 + (z + 40) ** 2)
    signal += (look.fat * 0.9 - signal) * _step(17 - eye, 1.0)
    signal += (look.fluid - signal) * _step(12 - eye, 0.6)
    airway = 1 - np.sqrt((x / 13) ** 2 + ((y - 48) / 30) ** 2 + ((z + 62) / 16) ** 2)
    signal += (0.02 - signal) * _step(airway, 0.1)
    return signal


def texture(rng: np.random.Generator, anatomy: Anatomy) -> Volume:
    """Smooth random texture of SD 1, clipped at 2.5, around the head."""
    noise = rng.standard_normal(anatomy.head.shape, dtype=np.float32)
    smooth = gaussian_filter(noise, 1.25, truncate=3)
    return Volume(np.clip(smooth / smooth.std(), -2.5, 2.5), anatomy.head.affine)


def _step(distance: np.ndarray, width: float) -> np.ndarray:
    """0 below -width, 1 above width, linear between: a partial-volume edge."""
    return np.clip(0.5 + distance / np.float32(2 * width), 0, 1).astype(np.float32)
