"""Every score of a pair, one entry each. docs/how-to/metric.md says how to add one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pmrpipe.metrics.metric import Metric, RegisteredPair, Row, TradeOff
from pmrpipe.metrics.similarity import ncc

if TYPE_CHECKING:
    import numpy as np

DICE = Metric(
    "dice",
    "Dice",
    lambda pair: pair.label_mean("dice"),
    formula="mean over the scored labels of 2 |W∩T| / (|W| + |T|)",
    note="a label in neither map is left out; in one map only it counts 0. `dice_REGION` is "
    "the mean over the region's labels, *not* the Dice of the merged region, which is higher",
    needs="labels",
    best="max",
    by_region=True,
    compared=True,
)

# In the order of the page. Tables keep the promised order of their columns: see `tables.py`.
METRICS: tuple[Metric, ...] = (
    DICE,
    Metric(
        "hd95_mm",
        "HD95",
        lambda pair: pair.label_mean("hd95_mm"),
        formula="mean over the scored labels of the label's HD95 (see Surface distances)",
        note="a label in one map only has no distance and is left out",
        needs="labels",
        unit="mm",
        digits=2,
        best="min",
    ),
    Metric(
        "ncc",
        "NCC",
        lambda pair: ncc(pair.fixed_image.data, pair.warped_image, pair.mask),
        formula="Σ (f−f̄)(w−w̄) / √( Σ (f−f̄)² Σ (w−w̄)² ) over M",
        note="Pearson's correlation of the fixed and the warped preprocessed image; n/a when one "
        "is constant in M",
        needs="images",
        best="max",
        boxes=True,
    ),
    Metric(
        "folding_percent",
        "Folding",
        lambda pair: pair.deformation.folding_percent,
        formula="100 · #{x∈M : det J(x) ≤ 0} / |M|",
        note="central differences (φ(x+e) − φ(x−e)) / 2",
        needs="field",
        unit="%",
        digits=4,
        best="min",
        trade_off=TradeOff("folding", "Accuracy against folding", "Folded voxels, %", 1e-3),
        sentence="Folding is the percentage of voxels of the fixed brain with a Jacobian "
        "determinant of at most 0 by central differences",
    ),
    Metric(
        "ndv_percent",
        "NDV",
        lambda pair: pair.deformation.ndv_percent,
        formula="100 / |M| · Σ over x∈M, over ten |J| of max(−|J|, 0) / 12",
        note="non-diffeomorphic volume: the eight combinations of forward and backward "
        "differences, and the two of the central tetrahedra, |J\\*₁| and |J\\*₂|",
        needs="field",
        unit="%",
        digits=4,
        best="min",
        sentence="NDV is the non-diffeomorphic volume over all finite differences",
        citation="Liu Y, Chen J, Wei S, Carass A, Prince J. On finite difference Jacobian "
        "computation in deformable image registration. IJCV 132 (2024) 3678.",
    ),
    Metric(
        "sdlogj",
        "SDlogJ",
        lambda pair: pair.deformation.sdlogj,
        formula="standard deviation over M of log(min(max(det J, 10⁻⁹), 10⁹))",
        note="central differences; sees volume alone: read it with `strain`",
        needs="field",
        boxes=True,
        sentence="SDlogJ is the standard deviation of the logarithm of the Jacobian determinant",
    ),
    Metric(
        "strain",
        "Strain",
        lambda pair: pair.deformation.strain,
        formula="√( 1/|M| · Σ over x∈M of (log² s₁ + log² s₂ + log² s₃) )",
        note="RMS Hencky strain: s₁ ≥ s₂ ≥ s₃ are the singular values of I + ∇u, in mm, by "
        "central differences; each at least 10⁻⁹",
        needs="field",
        compared=True,
        boxes=True,
        trade_off=TradeOff("strain", "Accuracy against strain", "Strain (RMS, Hencky)"),
        sentence="strain is the root mean square over the fixed brain of the Hencky strain of "
        "the deformable part, whose square is the sum of the squared logarithms of the singular "
        "values of the deformation gradient",
        citation="Neff P, Eidel B, Martin R J. Geometry of logarithmic strain measures in solid "
        "mechanics. Arch. Ration. Mech. Anal. 222 (2016) 507.",
    ),
    Metric(
        "strain_volume",
        "Strain, volume",
        lambda pair: pair.deformation.strain_volume,
        formula="√( 1/|M| · Σ over x∈M of (log s₁ + log s₂ + log s₃)² / 3 )",
        note="the part of `strain` that changes volume",
        needs="field",
        page=False,
    ),
    Metric(
        "strain_shear",
        "Strain, shear",
        lambda pair: pair.deformation.strain_shear,
        formula="√( strain² − strain_volume² )",
        note="the part of `strain` that changes shape alone",
        needs="field",
        page=False,
    ),
    Metric(
        "inverse_consistency_mm",
        "Inverse consistency",
        lambda pair: pair.from_registration("inverse_consistency_mm"),
        formula="1/|M| · Σ over x∈M of |ψ(φ(x)) − x|",
        note="ψ: the inverse that the method itself gives; n/a for a method without one",
        needs="registration",
        unit="mm",
        best="min",
        page=False,
    ),
)


def measured(pair: RegisteredPair, regions: Mapping[str, np.ndarray]) -> Row:
    """Every metric of a pair by its column, those by region also for each region.

    Parameters
    ----------
    regions : name to label numbers
    """
    row = {metric.name: metric.of(pair) for metric in METRICS}
    for name, labels in regions.items():
        part = pair.within(set(labels.tolist()))
        row |= {m.column(name): m.of(part) for m in METRICS if m.by_region}
    return row


def compared() -> list[Metric]:
    """The metrics in which methods are compared, Dice first."""
    return [metric for metric in METRICS if metric.compared]
