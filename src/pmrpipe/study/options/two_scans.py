"""Options of the registration of two scans as they come."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.base.seed import SEED
from pmrpipe.study.options.common import (
    Contrast,
    Device,
    FinetuneRate,
    LabelInterpolation,
    Orientation,
    RefineElastic,
    RefineMm,
    Samples,
    Seed,
)
from pmrpipe.study.options.preprocessing import Gridded


class TwoScans(Gridded):
    """What `pmrpipe register` and `pmrpipe.register` can be told of two scans."""

    method: str | None = Field(
        None,
        description="name or YAML; None: that of the weights, else pmr-plus, or "
        "pmr-plus-contrasts for two contrasts",
    )
    weights: Path | None = Field(
        None, description="folder of trained weights; None: those in the package"
    )
    refine: int | None = Field(
        None,
        ge=0,
        description="most steps a level of instance optimisation; 0: none; None: the method's own",
    )
    refine_mm: RefineMm = 1.0
    refine_elastic: RefineElastic | None = Field(
        None,
        description="how smooth instance optimisation stays: deviation of the Gaussian that "
        "smooths the displacements, in their voxels; None: 0.7, and 0.5, which overlaps more and "
        "is rougher, with accurate and for labels (parcellate)",
    )
    accurate: bool = Field(
        False,
        description="instance optimisation with twice the steps, and refine_elastic 0.5: more "
        "overlap, rougher, slower",
    )
    finetune: int = Field(
        0,
        ge=0,
        description="steps in which the weights are tuned to each pair, on a copy, by the "
        "method's own objective; 0: none",
    )
    finetune_rate: FinetuneRate = 2e-5
    uncertainty: Samples = 0
    labels: Path | None = Field(None, description="label map of the moving scan, brought along")
    interpolation: LabelInterpolation = "nearest"
    brain_extracted: bool = Field(False, description="both scans hold the brain alone")
    moving_mask: Path | None = Field(None, description="brain mask of the moving scan")
    moving_lesion: Path | None = Field(
        None, description="lesion mask of the moving scan, on its grid: no similarity inside"
    )
    moving_orientation: Orientation = None
    moving_contrast: Contrast | None = Field(
        None, description="of the moving scan; None: the BIDS suffix of its file's name, else T1w"
    )
    fixed_mask: Path | None = Field(None, description="brain mask of the fixed scan")
    fixed_lesion: Path | None = Field(None, description="the same of the fixed scan")
    fixed_orientation: Orientation = None
    fixed_contrast: Contrast | None = Field(None, description="the same of the fixed scan")
    head_template: Path | None = Field(
        None, description="whole head: brains are extracted by ANTs in place of deepbet"
    )
    brain_template: Path | None = Field(
        None, description="its brain: probability, mask or cut out; goes with head_template"
    )
    n4: bool = Field(False, description="correct both brains' intensity bias")
    cache: Path | None = Field(
        None, description="folder that keeps preprocessed scans by content; None: nothing is kept"
    )
    seed: Seed = SEED
    threads: int | None = Field(None, ge=1, description="threads of the work; None: all cores")
    device: Device = "auto"
    overwrite: bool = Field(
        False, description="replace files that pmrpipe register did not write, inputs too"
    )
